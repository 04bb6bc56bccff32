"""Writes ../tokenizers/strings.json: the texts that every tokenizer is checked on, made once and kept (our own sentences, seeded mixing).

    python test/reference/make/tokenizer_strings.py
"""
import json, os, random, unicodedata

from tokenizers import normalizers, pre_tokenizers

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "tokenizers", "strings.json")
COUNT = 2200

SENTENCES = [
    "The ferry leaves at seven, unless the fog stays.", "I'm sure you're right; they'd say so, we'll see, he's in, she can't and I've no time.",
    "Please water the tomatoes twice a week and prune them in June.", "How do I sharpen a kitchen knife without a stone?",
    "Wie lange dauert die Fahrt über die Brücke, wenn es stürmt?", "Größe, Straße, Übermut und Ähre: alles schöne Wörter.",
    "Où est la bibliothèque ? L'été dernier, j'ai perdu ma clé.", "¿Cuántos kilómetros faltan? ¡Mañana llegamos!", "Não há pão; a avó e o avô já saíram.",
    "Il gatto dorme sul tetto perché fa caldo.", "De fietsen staan in de hoogste stalling, naast 't water.", "Zażółć gęślą jaźń, proszę.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy.", "Flygande bäckasiner söka hwila på mjuka tuvor.", "Pijamalı hasta yağız şoföre çabucak güvendi. İIıi",
    "Съешь ещё этих мягких булок, да выпей чаю.", "Щастям б'єш жук їх глицю в фон й ґедзь пріч.", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. ΟΔΟΣ ὅς",
    "על הגג יושב חתול אפור ומביט בירח.", "القطار يصل في الساعة الثامنة صباحًا إن شاء الله.", "لا، هذا ليس كتابي، بل كتاب أختي.",
    "नदी के किनारे एक पुराना पुल है।", "நாளை மழை பெய்யும் என்று சொன்னார்கள்.", "ภูเขาลูกนี้สูงกว่าที่ฉันคิดไว้มาก", "ຂ້ອຍມັກກິນເຂົ້າໜຽວ",
    "မြစ်ထဲမှာ လှေတစ်စင်းရှိတယ်။", "明日は図書館で友達と勉強します。", "カタカナとひらがなと漢字が混ざった文です。ﾊﾝｶｸ", "今天的天气很好，我们去公园散步吧。", "繁體中文與簡體字不同。",
    "오늘은 날씨가 맑고 바람이 분다.", "Hôm nay trời nắng đẹp, chúng ta đi chợ nhé.", "ქართული ენა ლამაზია.", "Հայոց լեզուն հին է։", "አዲስ አበባ ትልቅ ከተማ ናት።", "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ", "ᚠᛇᚻ᛫ᛒᛦᚦ᛫ᚠᚱᚩᚠᚢᚱ",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 and 𝟙𝟚𝟛 and 𝒞𝓊𝓇𝓈𝒾𝓋ℯ", "𐌰𐌱𐌲 𓀀𓀁 𠀀𠮷 𪚥", "naïve café résumé cafe\u0301 n\u0303 A\u030a \u212b", "ﬁne ﬂow oﬃce ㎏ ㍿ ① ② Ⅳ ⅷ ½ ¾ ² ³ ٣ ४ 五",
]
CODE = [
    "for (let i = 0; i < 1024; i++) { total += values[i] ** 2; }", "def add(a, b=3.14e-7):\n    \"\"\"Sum.\"\"\"\n    return a + b  # 0x1F\n", "SELECT name, COUNT(*) FROM trips WHERE km >= 10.5 GROUP BY 1;",
    "<div class=\"note\"><p>Hi &amp; bye</p><br/></div>", "#include <vector>\nint main() { std::vector<int> v{1,2,3}; return v.size() == 3 ? 0 : 1; }", "{\"id\": 7, \"tags\": [\"a\", \"b\"], \"ok\": null}",
    "if [ -f \"$HOME/.profile\" ]; then source ~/.profile; fi", "C:\\Users\\me\\notes_v2.txt", "\\frac{a}{b} \\in \\mathbb{R}^{n\\times m}", "a=b&&c||!d;x<<=2;y>>>1;z??=0", "git commit -m 'fix: (#123)' && git push --force-with-lease",
]
URLS = ["https://example.org/path?a=1&b=%20#top", "mailto:someone@example.com", "http://127.0.0.1:8080/x/y/z.html", "ftp://files.example.net/~me/a_b-c.tar.gz", "www.example.co.uk/ünïcode"]
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🇳🇱", "❤️", "🏳️‍🌈", "1️⃣", "🧑🏿‍🚀", "☺︎", "🫠", "⌚️"]
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_start |>", "<|im_start|>system\n", "<s>", "</s>", "<unk>", "<pad>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<|eot_id|>", "<|begin_of_text|>",
            "<|start_header_id|>user<|end_header_id|>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "[INST]", "[/INST]", "<<SYS>>", "<0x0A>", "<0xE2>", "<unused7>",
            "<|im_", "end|>", "<|", "|>", "<|endoftext", "▁", "▁▁", "##ing", "<table>", "</h1>", "<mask>", "<repo_name>", "<file_sep>", "<gh_stars>", "Ġ", "Ċ", "<|reserved_special_token_0|>", "<|python_tag|>"]
SPACES = [" ", "  ", "   ", "    ", "\t", "\n", "\n\n", "\r\n", "\r", " \n", "\n ", "\t\t", "\u00a0", "\u3000", "\u2009", "\u200b", "\ufeff", "\u0085", "\u2028", "\v", "\f", " " * 17, "\n" * 9, "\t" * 5, "\u1680", "\u202f"]
CONTROL = [chr(c) for c in list(range(0, 32)) + list(range(127, 160))] + ["\u00ad", "\u200d", "\u200e", "\u202e", "\ufff9", "\ufffd", "\uffff", "\ue000", "\U000f0000", "\U0010ffff"]
LONE = ["\ud800", "\udc00", "\udfff\ud800", "\udbff"]


BERT = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=True, lowercase=False)


def stable(c):
    # Assigned in Unicode 14 or earlier: newer letters are not letters yet in every library. BERT's tables in `tokenizers` are older
    # still (Unicode 8); marks, format characters and punctuation that they do not know are left out.
    kind = unicodedata.category(chr(c))
    if 0xD800 <= c < 0xE000 or kind in ("Cn", "Co"):
        return False
    if kind in ("Mn", "Cf"):
        return BERT.normalize_str("a" + chr(c)) == "a"
    apart = len(pre_tokenizers.BertPreTokenizer().pre_tokenize_str("a" + chr(c))) == 2
    return apart == kind.startswith("P") or c < 128 or not kind.startswith("P")


ANY = [chr(c) for c in range(0x30000) if stable(c)]


def mix(r):
    kind = r.randrange(12)
    words = " ".join(r.sample(SENTENCES, 2)).split(" ")
    if kind == 0:
        return r.choice(SENTENCES) + r.choice(SPACES) + r.choice(SENTENCES)
    if kind == 1:
        return "".join(w + r.choice(SPACES) for w in r.choices(words, k=r.randrange(1, 9)))
    if kind == 2:
        return r.choice(SPACES) + r.choice(CODE) + r.choice(SPACES) + r.choice(words) + r.choice(["", "\n", ";", "...", "?!"])
    if kind == 3:
        return r.choice(["", " ", "x"]) + "".join(r.choice(EMOJI) + r.choice(["", "", " ", "a"]) for _ in range(r.randrange(1, 7)))
    if kind == 4:
        return "".join(r.choice(words + SPECIALS * 2 + SPACES[:6]) + r.choice(["", "", " "]) for _ in range(r.randrange(1, 8)))
    if kind == 5:
        return "".join(r.choice(CONTROL + ["a", " ", "9"]) for _ in range(r.randrange(1, 10)))
    if kind == 6:
        n = r.randrange(1, 10 ** r.randrange(1, 13))
        return r.choice(["{}", "{:,}", "-{}.5", "0x{:X}", "{}%", "x{}y", " {} ", "{}a{}", "${:.2f}"]).format(n, n % 97) + r.choice(["", " km", "\n", "٣٤", "½"])
    if kind == 7:
        return r.choice(["a", "ab", " ", "\n", "!", "é", "日", "😀", "0", "=-", "ha", "\t", "A", "▁", "<"]) * r.randrange(2, 120)
    if kind == 8:
        return "".join(r.choice(ANY) + r.choice(["", "", " "]) for _ in range(r.randrange(1, 14)))
    if kind == 9:
        return r.choice(URLS) + r.choice(SPACES) + r.choice(URLS + words)
    if kind == 10:
        w = r.choice(words)
        return r.choice([w.upper(), w.lower(), w.title(), w[::-1], unicodedata.normalize("NFD", w), unicodedata.normalize("NFC", w)]) + r.choice(["'S", "'s", "'LL", "'ll", "'ſ", "’s", "'t", "'RE"]) + r.choice(["", " go", "x"])
    return r.choice(words) + r.choice(LONE) + r.choice(words + LONE)


def main():
    r = random.Random(20240611)
    fixed = ["", *SENTENCES, *CODE, *URLS, *EMOJI, *SPECIALS, *SPACES, *CONTROL, *LONE, *[chr(c) for c in range(32, 127)]]
    seen = dict.fromkeys(fixed)
    while len(seen) < COUNT:
        seen.setdefault(mix(r))
    with open(OUT, "w", encoding="ascii") as f:
        f.write("[\n" + ",\n".join(json.dumps(s) for s in seen) + "\n]\n")
    print(len(seen), os.path.getsize(OUT))


if __name__ == "__main__":
    main()
