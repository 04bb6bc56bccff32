#include "op.h"

#include <limits>
#include <type_traits>

#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_status.h"

namespace ti {
namespace {

struct Status {
  TF_Status* status = TF_NewStatus();
  Status() = default;
  ~Status() { TF_DeleteStatus(status); }
  Status(const Status&) = delete;
  Status& operator=(const Status&) = delete;

  bool ok() const { return TF_GetCode(status) == TF_OK; }
  void require() const {
    if (!ok()) throw std::runtime_error(TF_Message(status));
  }
};

const char* dtype_name(TF_DataType dtype) {
  switch (dtype) {
    case TF_FLOAT:
      return "float32";
    case TF_BFLOAT16:
      return "bfloat16";
    case TF_INT32:
      return "int32";
    default:
      return "another dtype";
  }
}

template <class Dims>
std::string shape_text(const Dims& dims) {
  std::string text = "[";
  for (const int64_t dim : dims) {
    if (text.size() > 1) text += ", ";
    text += dim == kAny ? "any" : std::to_string(dim);
  }
  return text + "]";
}

bool names_type(const std::vector<std::string>& arguments, const std::string& type) {
  for (const std::string& argument : arguments) {
    if (argument.size() > type.size() && argument.compare(argument.size() - type.size(), type.size(), type) == 0) return true;
  }
  return false;
}

}  // namespace

std::string OpSpec::input_name(int index) const { return inputs[index].substr(0, inputs[index].find(':')); }

Op::Op(TF_OpKernelContext* context, const OpSpec& spec) : context_(context), spec_(spec) {
  const Status status;
  const int count = TF_NumInputs(context);
  inputs_.reserve(count);
  outputs_.reserve(TF_NumOutputs(context));
  for (int i = 0; i < count; i++) {
    TF_Tensor* tensor = nullptr;
    TF_GetInput(context, i, &tensor, status.status);
    if (tensor != nullptr) inputs_.push_back(tensor);
    if (!status.ok()) {
      // A constructor that throws has no destructor: free what has been read so far.
      for (TF_Tensor* read : inputs_) TF_DeleteTensor(read);
      status.require();
    }
  }
}

Op::~Op() {
  for (TF_Tensor* tensor : inputs_) TF_DeleteTensor(tensor);
  for (TF_Tensor* tensor : outputs_) TF_DeleteTensor(tensor);
}

void Op::reject(int input, const std::string& problem) const {
  throw InvalidArgument("input \"" + spec_.input_name(input) + "\": " + problem);
}

void Op::check_shape(int index, TF_DataType dtype, std::initializer_list<int64_t> dims, Shape* actual) const {
  const TF_Tensor* tensor = inputs_[index];
  const int rank = TF_NumDims(tensor);
  actual->resize(rank);
  for (int axis = 0; axis < rank; axis++) (*actual)[axis] = TF_Dim(tensor, axis);

  bool matches = TF_TensorType(tensor) == dtype && rank == static_cast<int>(dims.size());
  for (int axis = 0; matches && axis < rank; axis++) {
    const int64_t wanted = dims.begin()[axis];
    matches = wanted == kAny || wanted == (*actual)[axis];
  }
  if (!matches) {
    reject(index, std::string("expected ") + dtype_name(dtype) + " " + shape_text(dims) + ", got " +
                      dtype_name(TF_TensorType(tensor)) + " " + shape_text(*actual));
  }
}

std::vector<int64_t> Op::settings(int index, int64_t count) {
  const View<const int32_t> view = input<int32_t>(index, {count});
  return std::vector<int64_t>(view.data, view.data + view.size);
}

void Op::check_indices(int input, const View<const int32_t>& values, int64_t limit) const {
  for (int64_t i = 0; i < values.size; i++) {
    if (values[i] < 0 || values[i] >= limit) {
      reject(input, "value " + std::to_string(values[i]) + " at index " + std::to_string(i) + " is outside [0, " +
                        std::to_string(limit) + ")");
    }
  }
}

int64_t Op::element_count(const Shape& dims) const {
  // Far below overflow when multiplied by an element's size.
  constexpr int64_t kLimit = std::numeric_limits<int64_t>::max() / 64;
  int64_t count = 1;
  for (const int64_t dim : dims) {
    if (dim < 0) throw InvalidArgument("an output would have shape " + shape_text(dims));
    if (dim > 0 && count > kLimit / dim) throw InvalidArgument("an output would be too large: " + shape_text(dims));
    count *= dim;
  }
  return count;
}

void* Op::allocate(int index, TF_DataType dtype, const Shape& dims, size_t bytes) {
  const Status status;
  TF_Tensor* tensor = TF_AllocateOutput(context_, index, dtype, dims.data(), static_cast<int>(dims.size()), bytes, status.status);
  if (tensor != nullptr) outputs_.push_back(tensor);
  if (!status.ok()) throw std::bad_alloc();
  return TF_TensorData(tensor);
}

void run_guarded(Compute compute, const OpSpec& spec, TF_OpKernelContext* context) noexcept {
  const Status status;
  try {
    Op op(context, spec);
    compute(op);
    return;
  } catch (const InvalidArgument& error) {
    TF_SetStatus(status.status, TF_INVALID_ARGUMENT, error.what());
  } catch (const std::bad_alloc&) {
    TF_SetStatus(status.status, TF_RESOURCE_EXHAUSTED, "out of memory");
  } catch (const std::exception& error) {
    TF_SetStatus(status.status, TF_INTERNAL, error.what());
  }
  TF_OpKernelContext_Failure(context, status.status);
}

void register_with_tensorflow(const OpSpec& spec, void (*entry)(void*, TF_OpKernelContext*)) {
  TF_OpDefinitionBuilder* definition = TF_NewOpDefinitionBuilder(spec.name.c_str());
  for (const std::string type : {"T", "U"}) {
    if (names_type(spec.inputs, ": " + type) || names_type(spec.outputs, ": " + type)) {
      TF_OpDefinitionBuilderAddAttr(definition, (type + ": {bfloat16, float}").c_str());
    }
  }
  for (const std::string& input : spec.inputs) TF_OpDefinitionBuilderAddInput(definition, input.c_str());
  for (const std::string& output : spec.outputs) TF_OpDefinitionBuilderAddOutput(definition, output.c_str());
  // Stateful: TensorFlow must neither fold nor share calls, because some ops write into their inputs.
  TF_OpDefinitionBuilderSetIsStateful(definition, true);
  TF_OpDefinitionBuilderSetShapeInferenceFunction(definition, [](TF_ShapeInferenceContext* shapes, TF_Status* status) {
    TF_ShapeInferenceContextSetUnknownShape(shapes, status);
  });
  const Status status;
  TF_RegisterOpDefinition(definition, status.status);
  status.require();
  TF_RegisterKernelBuilder(spec.name.c_str(), TF_NewKernelBuilder(spec.name.c_str(), "CPU", nullptr, entry, nullptr),
                           status.status);
  status.require();
}

}  // namespace ti
