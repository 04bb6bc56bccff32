// The addon: loading it registers the ops with the TensorFlow library of this process and tells which kernels were chosen.
#include <node_api.h>

#include <exception>
#include <mutex>
#include <string>

#include "dispatch.h"
#include "ops.h"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

void register_all() {
  ti::choose_kernels();
  ti::register_linear_ops();
  ti::register_row_ops();
  ti::register_loss_ops();
  ti::register_attention_ops();
  ti::register_decode_ops();
  ti::register_decode_block_op();
}

napi_value text(napi_env env, const char* value) {
  napi_value result = nullptr;
  napi_create_string_utf8(env, value, NAPI_AUTO_LENGTH, &result);
  return result;
}

int thread_count() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

}  // namespace

// exports: { kernels: string, available: string[], threads: number }
NAPI_MODULE_INIT() {
  // TensorFlow's registry belongs to the process, the addon's initialisation to each JavaScript environment in it.
  static std::once_flag registered;
  try {
    std::call_once(registered, register_all);
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
    return nullptr;
  }
  napi_value available = nullptr;
  napi_create_array(env, &available);
  uint32_t index = 0;
  for (const ti::KernelTable* table : ti::available_kernels()) {
    napi_set_element(env, available, index++, text(env, table->name));
  }
  napi_value threads = nullptr;
  napi_create_int32(env, thread_count(), &threads);
  napi_set_named_property(env, exports, "kernels", text(env, ti::kernels().name));
  napi_set_named_property(env, exports, "available", available);
  napi_set_named_property(env, exports, "threads", threads);
  return exports;
}
