"""Writes the reference ids of ../tokenizers/: what Hugging Face's `tokenizers` makes of strings.json.

    python test/reference/make/tokenizer_reference.py small               # small tokenizers trained here, with their ids
    python test/reference/make/tokenizer_reference.py real NAME FILE …    # ids of a published tokenizer.json

Of each string the first 4 bytes of a sha256 are kept, base64 of all in one: over the ids as little-endian int32 with special tokens left
as text (plain) and parsed (specials), and over the UTF-8 of the text that the plain ids decode to (text). Lone surrogates are U+FFFD.
"""
import base64, hashlib, json, os, struct, sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers as pt, processors, trainers

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tokenizers")
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<|eot_id|>", "<end_of_turn>"]


def strings():
    with open(os.path.join(FOLDER, "strings.json"), "rb") as f:
        raw = f.read()
    texts = [s.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for s in json.loads(raw)]
    return texts, hashlib.sha256(raw).hexdigest()


def write_reference(name, tok, origin):
    texts, digest = strings()
    short = lambda b: hashlib.sha256(b).digest()[:4]
    pack = lambda ids: struct.pack(f"<{len(ids)}i", *ids)
    tok.encode_special_tokens = True
    plain = [tok.encode(t, add_special_tokens=False).ids for t in texts]
    tok.encode_special_tokens = False
    special = [tok.encode(t, add_special_tokens=False).ids for t in texts]
    b64 = lambda parts: base64.b64encode(b"".join(parts)).decode()
    out = dict(
        origin=origin, made=f"tokenizers {tokenizers.__version__}", strings=digest, count=len(texts), tokens=sum(map(len, plain)),
        plain=b64(short(pack(i)) for i in plain), specials=b64(short(pack(i)) for i in special),
        text=b64(short(tok.decode(i, skip_special_tokens=False).encode()) for i in plain),
    )
    with open(os.path.join(FOLDER, name + ".reference.json"), "w") as f:
        json.dump(out, f, indent=1)
        f.write("\n")
    print(name, out["tokens"], sum(a != b for a, b in zip(plain, special)), "texts with special tokens")


def save_small(name, tok):
    path = os.path.join(FOLDER, name + ".tokenizer.json")
    data = json.loads(tok.to_str())
    with open(path, "w") as f:
        json.dump(data, f, separators=(",", ":"))
        f.write("\n")
    print(path, os.path.getsize(path))
    write_reference(name, Tokenizer.from_file(path), "trained here")


def corpus():
    return [t for t in strings()[0] if len(t) > 12 and "<" not in t and "\ufffd" not in t]


def byte_level(name, pre, normalizer=None, ignore_merges=False, extra=()):
    tok = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        tok.normalizer = normalizer
    tok.pre_tokenizer = pre
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=1400, special_tokens=CONTROL, initial_alphabet=pt.ByteLevel.alphabet(), show_progress=False))
    tok.add_tokens([AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=False), *extra])
    save_small(name, tok)


def every_split(vocab):
    """As in the conversion of SentencePiece models: a token comes of any two tokens that make it, tokens in order of score (here: of id)."""
    cuts = lambda t: [(t[:i], t[i:]) for i in range(1, len(t)) if t[:i] in vocab and t[i:] in vocab]
    return [pair for t in sorted(vocab, key=vocab.get) if not t.startswith("<") for pair in sorted(cuts(t), key=lambda p: (vocab[p[0]], vocab[p[1]]))]


def sentence_piece(name, normalizer, pre, decoder, byte_fallback, fuse_unk=True, words=()):
    tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse_unk, byte_fallback=byte_fallback))
    if normalizer:
        tok.normalizer = normalizer
    tok.pre_tokenizer = pre if pre else pt.Metaspace(prepend_scheme="never")
    tok.decoder = decoder
    tok.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=1000, limit_alphabet=150, special_tokens=["<unk>"] + CONTROL, show_progress=False))
    data = json.loads(tok.to_str())
    if not pre:
        data["pre_tokenizer"] = None
    if byte_fallback:
        first = len(CONTROL) + 1
        data["model"]["vocab"] = {t: i if i < first else i + 256 for t, i in data["model"]["vocab"].items()}
        data["model"]["vocab"].update({f"<0x{b:02X}>": first + b for b in range(256)})
        data["model"]["merges"] = every_split(data["model"]["vocab"])
    tok = Tokenizer.from_str(json.dumps(data))
    tok.add_tokens([AddedToken(w, normalized=False) for w in words])
    save_small(name, tok)


def small():
    seq = lambda *steps: pt.Sequence(list(steps))
    split = lambda pattern: pt.Split(Regex(pattern), "isolated")
    bytes_only = pt.ByteLevel(add_prefix_space=False, use_regex=False)
    byte_level("gpt2", pt.ByteLevel(add_prefix_space=False))
    byte_level("smollm", seq(pt.Digits(individual_digits=True), pt.ByteLevel(add_prefix_space=False)))
    byte_level("llama3", seq(split(f"{WORDS}|\\p{{N}}{{1,3}}|{REST}"), bytes_only), ignore_merges=True)
    byte_level("qwen2", seq(split(f"{WORDS}|\\p{{N}}|{REST}"), bytes_only), normalizer=normalizers.NFC())
    byte_level(
        "roberta", pt.ByteLevel(add_prefix_space=True), normalizer=normalizers.NFKC(),
        extra=[AddedToken("<mask>", lstrip=True, normalized=False), AddedToken("<pad>", rstrip=True, normalized=False), AddedToken("the", single_word=True, normalized=True), AddedToken("fine", normalized=True)])
    byte_level("own-pattern", seq(split(r"\p{N}{1,2}|[^\s\p{N}]+|\s+"), pt.Digits(individual_digits=False), bytes_only))
    gemma = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    llama = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    sentence_piece("gemma", normalizers.Replace(" ", "▁"), pt.Split(" ", "merged_with_previous"), gemma, True, words=["▁▁", "▁▁▁▁", "\n\n", "<table>", "</h1>"])
    sentence_piece("llama2", normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None, llama, True)
    sentence_piece("metaspace", None, pt.Metaspace(prepend_scheme="first"), decoders.Metaspace(prepend_scheme="first"), False)
    sentence_piece("unfused", normalizers.Lowercase(), pt.Metaspace(prepend_scheme="always", split=False), decoders.Metaspace(), False, fuse_unk=False)
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tok.normalizer = normalizers.BertNormalizer(lowercase=True)
    tok.pre_tokenizer = pt.BertPreTokenizer()
    tok.decoder = decoders.WordPiece()
    tok.train_from_iterator(corpus(), trainers.WordPieceTrainer(vocab_size=1200, limit_alphabet=300, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    tok.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    save_small("bert", tok)


if __name__ == "__main__":
    if sys.argv[1] == "small":
        small()
    else:
        for name, file in zip(sys.argv[2::2], sys.argv[3::2]):
            with open(file, "rb") as f:
                origin = "tokenizer.json sha256 " + hashlib.sha256(f.read()).hexdigest()
            tok = Tokenizer.from_file(file)
            tok.no_truncation()
            tok.no_padding()
            write_reference(name, tok, origin)
