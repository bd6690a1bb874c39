/*
 * SPDX-License-Identifier: ISC
 *
 * The list of broken models; see mkmodel_broken_list.h.
 */
#include "tests/mkmodel_broken_list.h"

#include <stddef.h>

#define FILE_(name, reason)                     \
	{                                       \
		name, MKBROKEN_FILE, 65, reason \
	}
#define MODEL_(name, reason)                     \
	{                                        \
		name, MKBROKEN_MODEL, 65, reason \
	}
#define VOCAB_(name, reason)                     \
	{                                        \
		name, MKBROKEN_VOCAB, 65, reason \
	}
#define RUN_(name, reason)                     \
	{                                      \
		name, MKBROKEN_RUN, 65, reason \
	}
#define PUT_(where, at, n, value)              \
	{                                      \
		PUT, where, NULL, at, n, value \
	}
#define CUT_(where, at)                    \
	{                                  \
		CUT, where, NULL, at, 0, 0 \
	}
#define SET_(key, text)                 \
	{                               \
		SET, key, text, 0, 0, 0 \
	}
#define UNSET_(key)                       \
	{                                 \
		UNSET, key, NULL, 0, 0, 0 \
	}
#define TENSOR_(kind, name, text)         \
	{                                 \
		kind, name, text, 0, 0, 0 \
	}
#define SPLIT_(how)                     \
	{                               \
		SPLIT, "", how, 0, 0, 0 \
	}

#define ARCH "general.architecture"
#define L(key) "llama." key
#define T(key) "tokenizer.ggml." key
#define Q "blk.0.attn_q.weight"
#define K "blk.0.attn_k.weight"

static const struct mkbroken_row rows[] = {
    /* The head of the file. */
    {FILE_("the magic is another format's", "no GGUF file"), {PUT_("magic", 3, 1, 'L')}},
    {FILE_("the magic is backwards", "no GGUF file"), {PUT_("magic", 0, 4, 0x47475546)}},
    {FILE_("the file is empty", "empty"), {CUT_("magic", 0)}},
    {FILE_("the file is one byte", "no GGUF file"), {CUT_("magic", 1)}},
    {FILE_("the file ends in its magic", "no GGUF file"), {CUT_("magic", 3)}},
    {FILE_("the file ends after its magic", "cut: it ends at byte 4"), {CUT_("version", 0)}},
    {FILE_("the file ends in its counts", "cut: it ends at byte 23"), {CUT_("n_key", 7)}},
    {FILE_("version 0", "version 0, expected 2 or 3"), {PUT_("version", 0, 4, 0)}},
    {FILE_("version 1", "version 1, expected 2 or 3"), {PUT_("version", 0, 4, 1)}},
    {FILE_("version 4", "version 4, expected 2 or 3"), {PUT_("version", 0, 4, 4)}},
    {FILE_("version 4294967295", "version 4294967295"), {PUT_("version", 0, 4, UINT32_MAX)}},
    {FILE_("the file is big-endian", "big-endian"), {PUT_("version", 0, 4, 0x03000000)}},
    {FILE_("more tensors than any file has", "tensors, more than"),
	{PUT_("n_tensor", 0, 8, UINT64_MAX)}},
    {FILE_("2^62 tensors", "tensors, more than"), {PUT_("n_tensor", 0, 8, 1ull << 62)}},
    {FILE_("more tensors than the file can hold", "tensors, more than"),
	{PUT_("n_tensor", 0, 8, 60000)}},
    {FILE_("one tensor more than there is", "tensor 30 of 30"), {PUT_("n_tensor", 0, 8, 30)}},
    {MODEL_("one tensor fewer than there is", "output_norm.weight is missing"),
	{PUT_("n_tensor", 0, 8, 28)}},
    {MODEL_("no tensor at all", "token_embd.weight is missing"), {PUT_("n_tensor", 0, 8, 0)}},
    {FILE_("more keys than any file has", "keys, more than"),
	{PUT_("n_key", 0, 8, UINT64_MAX)}},
    {FILE_("more keys than the file can hold", "keys, more than"),
	{PUT_("n_key", 0, 8, 65000)}},
    {FILE_("one key more than there is", "tensor 1 of 29"), {PUT_("n_key", 0, 8, 27)}},
    {FILE_("one key fewer than there is", "tensor"), {PUT_("n_key", 0, 8, 25)}},
    {FILE_("no key", "tensor"), {PUT_("n_key", 0, 8, 0)}},

    /* Keys. */
    {FILE_("the name of a key is empty", "its name has 0 bytes"), {PUT_("key " ARCH, 0, 8, 0)}},
    {FILE_("the name of a key is longer than the file", "its name has"),
	{PUT_("key " ARCH, 0, 8, UINT64_MAX)}},
    {FILE_("the name of a key is too long", "its name has 300 bytes, expected 1 to 256"),
	{PUT_("key " ARCH, 0, 8, 300)}},
    {FILE_("the name of a key is no UTF-8", "is no text"), {PUT_("key " ARCH, 10, 1, 0xff)}},
    {FILE_("the name of a key has a surrogate", "is no text"),
	{PUT_("key " ARCH, 10, 3, 0x80a0ed)}},
    {FILE_("the name of a key has half a character", "is no text"),
	{PUT_("key " ARCH, 10, 1, 0xc3)}},
    {FILE_("the name of a key has a slash in two bytes", "is no text"),
	{PUT_("key " ARCH, 10, 2, 0xafc0)}},
    {FILE_("the name of a key has a character of eight bits' control", "is no text"),
	{PUT_("key " ARCH, 10, 2, 0x9bc2)}},
    {FILE_("the name of a key has a newline", "is no text"), {PUT_("key " ARCH, 10, 1, '\n')}},
    {FILE_("the name of a key has a NUL", "is no text"), {PUT_("key " ARCH, 10, 1, 0)}},
    {FILE_("a key stands twice", "stands twice"),
	{SET_("general.twicf", "u32:1"), SET_("general.twice", "u32:1")}},
    {FILE_("the type of a key is unknown", "of type 13 are unknown"),
	{PUT_("type " ARCH, 0, 4, 13)}},
    {FILE_("the type of a key is 4294967295", "of type 4294967295 are unknown"),
	{PUT_("type " ARCH, 0, 4, UINT32_MAX)}},
    {FILE_("a bool is 2", "is a bool of 2"), {PUT_("value " T("add_bos_token"), 0, 1, 2)}},
    {FILE_("a string is longer than the file", "inside key"),
	{PUT_("value " ARCH, 0, 8, 1 << 30)}},
    {FILE_("a string has 2^64 - 1 bytes", "inside key"),
	{PUT_("value " ARCH, 0, 8, UINT64_MAX)}},
    {FILE_("an array has items of an unknown type", "of type 13 are unknown"),
	{PUT_("value " T("token_type"), 0, 4, 13)}},
    {FILE_("an array of arrays", "array of arrays"), {PUT_("value " T("token_type"), 0, 4, 9)}},
    {FILE_("an array has 2^64 - 1 numbers", "has 18446744073709551615 items"),
	{PUT_("value " T("token_type"), 4, 8, UINT64_MAX)}},
    {FILE_("an array has 2^62 numbers, whose bytes wrap to 0", "has 4611686018427387904 items"),
	{PUT_("value " T("token_type"), 4, 8, 1ull << 62)}},
    {FILE_("an array of numbers is longer than the file", "more than the"),
	{PUT_("value " T("token_type"), 4, 8, 1 << 20)}},
    {FILE_("an array has 2^61 strings, whose lengths wrap to 0", "items, more than"),
	{PUT_("value " T("tokens"), 4, 8, 1ull << 61)}},
    {FILE_("an array has more strings than the file can hold", "items, more than"),
	{PUT_("value " T("tokens"), 4, 8, 1 << 20)}},
    {FILE_("a string in an array is longer than the file", "inside key"),
	{PUT_("value " T("tokens"), 12, 8, 1ull << 40)}},
    {FILE_("a string in an array has 2^64 - 8 bytes", "inside key"),
	{PUT_("value " T("tokens"), 12, 8, UINT64_MAX - 7)}},
    {FILE_("the file ends in the name of a key", "inside key 19 of 26"),
	{CUT_("key " T("token_type"), 12)}},
    {FILE_("the file ends before the type of a key", "inside key 19 of 26"),
	{CUT_("type " T("token_type"), 0)}},
    {FILE_("the file ends in a number", "inside key"), {CUT_("value " T("bos_token_id"), 3)}},
    {FILE_("the file ends in an array's count", "inside key"),
	{CUT_("value " T("tokens"), 11)}},
    {FILE_("the file ends in an array", "more than the"), {CUT_("value " T("tokens"), 100)}},
    {FILE_("the file ends after its keys", "tensors, more than"),
	{CUT_("tensor token_embd.weight", 0)}},

    /* Tensors. */
    {FILE_("the name of a tensor is empty", "its name has 0 bytes"),
	{PUT_("tensor " Q, 0, 8, 0)}},
    {FILE_("the name of a tensor is too long", "its name has 65 bytes"),
	{PUT_("tensor " Q, 0, 8, 65)}},
    {FILE_("the name of a tensor is no UTF-8", "is no text"), {PUT_("tensor " Q, 9, 1, 0xc0)}},
    {FILE_("the name of a tensor has an escape sequence", "is no text: \"b\\x1Bk"),
	{PUT_("tensor " Q, 9, 1, 0x1b)}},
    {FILE_("a tensor stands twice", "stands twice"), {TENSOR_(RENAME, K, Q)}},
    {FILE_("a tensor has no dimension", "has 0 dimensions"), {PUT_("n_dim " Q, 0, 4, 0)}},
    {FILE_("a tensor has five dimensions", "has 5 dimensions"), {PUT_("n_dim " Q, 0, 4, 5)}},
    {FILE_("a tensor has 4294967295 dimensions", "has 4294967295 dimensions"),
	{PUT_("n_dim " Q, 0, 4, UINT32_MAX)}},
    {FILE_("a dimension is 0", "dimension 1 is 0"), {PUT_("ne " Q, 8, 8, 0)}},
    {FILE_("a row has no column", "dimension 0 is 0"), {PUT_("ne " Q, 0, 8, 0)}},
    {FILE_("a dimension is -1", "dimension 1 is 18446744073709551615"),
	{PUT_("ne " Q, 8, 8, UINT64_MAX)}},
    {FILE_("a row is no multiple of its blocks",
	 "rows of 65 elements, expected a multiple of 32"),
	{PUT_("ne " Q, 0, 8, 65)}},
    {FILE_("dimensions whose product wraps to 0", "larger than any file"),
	{PUT_("ne " Q, 0, 8, 1ull << 37), PUT_("ne " Q, 8, 8, 1ull << 32)}},
    {FILE_("a row of 2^63 - 32 columns", "tensor " Q), {PUT_("ne " Q, 0, 8, INT64_MAX - 31)}},
    {FILE_("a tensor of a type that is not computed", "has type IQ2_XXS"),
	{PUT_("dtype " Q, 0, 4, 16)}},
    {FILE_("a tensor of doubles", "has type F64"), {PUT_("dtype " Q, 0, 4, 28)}},
    {FILE_("a tensor of MXFP4", "has type MXFP4"), {PUT_("dtype " Q, 0, 4, 39)}},
    {FILE_("a tensor of a type that is no more", "has type Q4_2"), {PUT_("dtype " Q, 0, 4, 4)}},
    {FILE_("a tensor of an unknown type", "unknown type 77"), {PUT_("dtype " Q, 0, 4, 77)}},
    {FILE_("a tensor of type 4294967295", "unknown type 4294967295"),
	{PUT_("dtype " Q, 0, 4, UINT32_MAX)}},
    {FILE_("a tensor's offset is unaligned", "expected a multiple of 32"),
	{PUT_("offset " Q, 0, 1, 8)}},
    {FILE_("a tensor's offset is behind the file", "the file is cut: it ends at"),
	{PUT_("offset " Q, 0, 8, 1 << 30)}},
    {FILE_("a tensor's offset is 2^64 - 32", "beyond any file"),
	{PUT_("offset " Q, 0, 8, UINT64_MAX - 31)}},
    {FILE_("a tensor's offset is 2^63", "beyond any file"),
	{PUT_("offset " Q, 0, 8, 1ull << 63)}},
    {FILE_("a tensor's end wraps", "beyond any file"),
	{PUT_("offset " Q, 0, 8, INT64_MAX - 31), PUT_("ne " Q, 8, 8, 1ull << 58)}},
    {FILE_("two tensors are one", "overlap"), {PUT_("offset " Q, 0, 8, 0)}},
    {FILE_("two tensors overlap by a block", "overlap"),
	{PUT_("offset blk.0.attn_norm.weight", 0, 8, 19968)}},
    {FILE_("the file ends in the directory", "inside tensor 29 of 29"),
	{CUT_("dtype output_norm.weight", 2)}},
    {FILE_("the file ends before its data", "the file is cut: it ends at"), {CUT_("data", 0)}},
    {FILE_("the file lacks its last byte", "tensor output_norm.weight needs"), {CUT_("", -1)}},
    {FILE_("the file lacks its last half", "the file is cut: it ends at"),
	{CUT_("data", 20000)}},

    /* The alignment of the data. */
    {FILE_("alignment 0", "general.alignment is 0"), {SET_("general.alignment", "u32:0")}},
    {FILE_("alignment 3", "general.alignment is 3"), {SET_("general.alignment", "u32:3")}},
    {FILE_("alignment 4", "general.alignment is 4"), {SET_("general.alignment", "u32:4")}},
    {FILE_("alignment 2^31", "general.alignment is 2147483648"),
	{SET_("general.alignment", "u32:2147483648")}},
    {FILE_("alignment 4096 where tensors have 32", "expected a multiple of 4096"),
	{SET_("general.alignment", "u32:4096")}},
    {FILE_("alignment is a string", "general.alignment is of type string"),
	{SET_("general.alignment", "string:32")}},
    {FILE_("alignment is negative", "general.alignment is -32"),
	{SET_("general.alignment", "i32:-32")}},

    /* Hyper-parameters. */
    {MODEL_("no architecture", ARCH " is missing"), {UNSET_(ARCH)}},
    {MODEL_("an architecture that is not computed", "'mamba'"), {SET_(ARCH, "string:mamba")}},
    {MODEL_("an architecture with a newline in it", "\\x0A"), {SET_(ARCH, "string:lla\nma")}},
    {MODEL_("an empty architecture", "''"), {SET_(ARCH, "string:")}},
    {MODEL_("the architecture is a number", "is of type u32"), {SET_(ARCH, "u32:1")}},
    {MODEL_("no number of layers", "block_count is missing"), {UNSET_(L("block_count"))}},
    {MODEL_("no layers", "block_count is 0"), {SET_(L("block_count"), "u32:0")}},
    {MODEL_("fewer layers than tensors", "blk.2."), {SET_(L("block_count"), "u32:2")}},
    {MODEL_("more layers than tensors", "blk.3."), {SET_(L("block_count"), "u32:4")}},
    {MODEL_("4294967295 layers", "block_count is 4294967295"),
	{SET_(L("block_count"), "u32:4294967295")}},
    {MODEL_("-1 layers", "block_count is -1"), {SET_(L("block_count"), "i32:-1")}},
    {MODEL_("2^33 + 3 layers, which is 3 in 32 bits", "block_count is 8589934595"),
	{SET_(L("block_count"), "u64:8589934595")}},
    {MODEL_("the number of layers is a string", "block_count is of type string"),
	{SET_(L("block_count"), "string:3")}},
    {MODEL_("the number of layers is a float", "block_count is of type f32"),
	{SET_(L("block_count"), "f32:3")}},
    {MODEL_("no context length", "context_length is missing"), {UNSET_(L("context_length"))}},
    {MODEL_("a context of 0", "context_length is 0"), {SET_(L("context_length"), "u32:0")}},
    {MODEL_("a context of 4294967295", "context_length is 4294967295"),
	{SET_(L("context_length"), "u32:4294967295")}},
    {MODEL_("no embedding length", "embedding_length is missing"),
	{UNSET_(L("embedding_length"))}},
    {MODEL_("an embedding of 0", "embedding_length is 0"),
	{SET_(L("embedding_length"), "u32:0")}},
    {MODEL_("an embedding that heads do not divide", "embedding length 65 over 4 heads"),
	{SET_(L("embedding_length"), "u32:65")}},
    {MODEL_("an embedding that tensors do not have", "expected 128"),
	{SET_(L("embedding_length"), "u32:128"), SET_(L("rope.dimension_count"), "u32:32")}},
    {MODEL_("no feed-forward length", "feed_forward_length is missing"),
	{UNSET_(L("feed_forward_length"))}},
    {MODEL_("a feed-forward length of 0", "feed_forward_length is 0"),
	{SET_(L("feed_forward_length"), "u32:0")}},
    {MODEL_("a feed-forward length that tensors do not have", "expected"),
	{SET_(L("feed_forward_length"), "u32:192")}},
    {MODEL_("feed-forward lengths layer by layer", "feed_forward_length is an array of u32"),
	{SET_(L("feed_forward_length"), "[u32]:160,160,160")}},
    {MODEL_("no number of heads", "head_count is missing"),
	{UNSET_(L("attention.head_count"))}},
    {MODEL_("no heads", "head_count is 0"), {SET_(L("attention.head_count"), "u32:0")}},
    {MODEL_("three heads, which 64 is no multiple of", "heads"),
	{SET_(L("attention.head_count"), "u32:3")}},
    {MODEL_("4294967295 heads", "head_count is 4294967295"),
	{SET_(L("attention.head_count"), "u32:4294967295")}},
    {MODEL_("no KV heads", "head_count_kv is 0"),
	{SET_(L("attention.head_count_kv"), "u32:0")}},
    {MODEL_("KV heads that heads cannot share", "3 KV heads"),
	{SET_(L("attention.head_count_kv"), "u32:3")}},
    {MODEL_("more KV heads than heads", "8 KV heads"),
	{SET_(L("attention.head_count_kv"), "u32:8")}},
    {MODEL_("KV heads that tensors do not have", "expected"),
	{SET_(L("attention.head_count_kv"), "u32:4")}},
    {MODEL_("heads of an odd dimension", "heads of 15 dimensions"),
	{SET_(L("attention.key_length"), "u32:15")}},
    {MODEL_("keys and values of other dimensions", "values of 32"),
	{SET_(L("attention.value_length"), "u32:32")}},
    {MODEL_("no epsilon of the norms", "layer_norm_rms_epsilon is missing"),
	{UNSET_(L("attention.layer_norm_rms_epsilon"))}},
    {MODEL_("a negative epsilon", "layer_norm_rms_epsilon is -1"),
	{SET_(L("attention.layer_norm_rms_epsilon"), "f32:-1")}},
    {MODEL_("an epsilon that is no number", "layer_norm_rms_epsilon is nan"),
	{SET_(L("attention.layer_norm_rms_epsilon"), "f32:nan")}},
    {MODEL_("an infinite epsilon", "layer_norm_rms_epsilon is inf"),
	{SET_(L("attention.layer_norm_rms_epsilon"), "f32:inf")}},
    {MODEL_("theta 0", "freq_base is 0"), {SET_(L("rope.freq_base"), "f32:0")}},
    {MODEL_("a negative theta", "freq_base is -10000"),
	{SET_(L("rope.freq_base"), "f32:-10000")}},
    {MODEL_("a theta that is no number", "freq_base is nan"),
	{SET_(L("rope.freq_base"), "f32:nan")}},
    {MODEL_("an infinite theta", "freq_base is inf"), {SET_(L("rope.freq_base"), "f64:inf")}},
    {MODEL_("heads rotated in part", "rope.dimension_count 8"),
	{SET_(L("rope.dimension_count"), "u32:8")}},
    {MODEL_("a scaling of positions that is not computed", "'yarn'"),
	{SET_(L("rope.scaling.type"), "string:yarn")}},
    {MODEL_("a scaling with an escape sequence", "\\x1B"),
	{SET_(L("rope.scaling.type"), "string:\033[31mlinear")}},
    {MODEL_("linear scaling without a factor", "rope.scaling.factor"),
	{SET_(L("rope.scaling.type"), "string:linear")}},
    {MODEL_("linear scaling by 0", "rope.scaling.factor is 0"),
	{SET_(L("rope.scaling.type"), "string:linear"),
	    SET_(L("rope.scaling.factor"), "f32:0")}},
    {MODEL_("a mixture of experts", "expert_count is 8"), {SET_(L("expert_count"), "u32:8")}},
    {MODEL_("attention that looks ahead", "attention.causal is false"),
	{SET_(L("attention.causal"), "bool:false")}},
    {MODEL_("another number of tokens than the embedding has", "vocab_size is 600"),
	{SET_(L("vocab_size"), "u32:600")}},

    /* Tensors and the model. */
    {MODEL_("a tensor is missing", "blk.1.ffn_up.weight is missing"),
	{TENSOR_(DROP, "blk.1.ffn_up.weight", NULL)}},
    {MODEL_("the embedding is missing", "token_embd.weight is missing"),
	{TENSOR_(DROP, "token_embd.weight", NULL)}},
    {MODEL_("the last norm is missing", "output_norm.weight is missing"),
	{TENSOR_(DROP, "output_norm.weight", NULL)}},
    {MODEL_("a tensor that would not be used", "foo.weight"),
	{TENSOR_(ADD, "foo.weight", "F32 64")}},
    {MODEL_("a bias", "blk.0.attn_q.bias"), {TENSOR_(ADD, "blk.0.attn_q.bias", "F32 64")}},
    {MODEL_("a tensor of experts", "blk.0.ffn_gate_inp.weight"),
	{TENSOR_(ADD, "blk.0.ffn_gate_inp.weight", "F32 64 8")}},
    {MODEL_("a tensor of a layer beyond all", "blk.4294967297.attn_q.weight"),
	{TENSOR_(ADD, "blk.4294967297.attn_q.weight", "F32 64 64")}},
    {MODEL_("a second name for a tensor", "blk.00.attn_q.weight"),
	{TENSOR_(ADD, "blk.00.attn_q.weight", "F32 64 64")}},
    {MODEL_("a tensor of another shape", Q), {PUT_("ne " Q, 8, 8, 32)}},
    {MODEL_("a matrix with a third dimension", "blk.0.extra.weight"),
	{TENSOR_(RENAME, "blk.0.ffn_up.weight", "blk.0.extra.weight")}},
    {MODEL_("a norm in half precision", "F16"),
	{TENSOR_(RETYPE, "blk.1.attn_norm.weight", "F16")}},
    {MODEL_("an embedding of another number of tokens than the vocabulary", "480 rows"),
	{TENSOR_(DROP, "token_embd.weight", NULL),
	    TENSOR_(ADD, "token_embd.weight", "F32 64 480")}},
    {MODEL_("divisors of frequencies that are 0", "rope_freqs.weight"),
	{TENSOR_(ADD, "rope_freqs.weight", "F32 8 0 zero")}},

    /* Packed matrices: 0x4c4c0000 and the number of the plain type, 3 for Q4_1. */
    {FILE_("a packed type of a plain one that has none", "unknown type 1280049153"),
	{PUT_("dtype " Q, 0, 4, 0x4c4c0001)}},
    {FILE_("a packed type beyond all", "unknown type 1280114687"),
	{PUT_("dtype " Q, 0, 4, 0x4c4cffff)}},
    {FILE_("a packed matrix of 60 rows", "60 rows, expected a multiple of 8 for Q4_1_R8"),
	{PUT_("ne " Q, 8, 8, 60), PUT_("dtype " Q, 0, 4, 0x4c4c0003)}},
    {FILE_("a packed vector", "1 rows, expected a multiple of 8 for Q4_1_R8"),
	{PUT_("dtype blk.0.attn_norm.weight", 0, 4, 0x4c4c0003)}},
    {FILE_("a packed matrix with rows of half a block", "rows of 80 elements"),
	{PUT_("ne " Q, 0, 8, 80), PUT_("dtype " Q, 0, 4, 0x4c4c0003)}},
    {FILE_("a packed matrix that goes on past the end", "the file is cut"),
	{PUT_("ne " Q, 8, 8, 1 << 20), PUT_("dtype " Q, 0, 4, 0x4c4c0003)}},
    {FILE_("a packed matrix larger than its place", "overlap"),
	{PUT_("dtype " Q, 0, 4, 0x4c4c0008)}},
    {MODEL_("a packed matrix of another shape", Q),
	{PUT_("ne " Q, 8, 8, 32), PUT_("dtype " Q, 0, 4, 0x4c4c0003)}},

    /* The vocabulary. */
    {VOCAB_("no vocabulary", "tokens"), {UNSET_(T("tokens"))}},
    {VOCAB_("no kind of vocabulary", T("model")), {UNSET_(T("model"))}},
    {VOCAB_("a kind of vocabulary that is not known", "rwkv"),
	{SET_(T("model"), "string:rwkv")}},
    {VOCAB_("a pre-token rule that is not known", "deepseek"),
	{SET_(T("pre"), "string:deepseek")}},
    {VOCAB_("no pre-token rule", "pre"), {UNSET_(T("pre"))}},
    {MODEL_("a vocabulary of fewer tokens than the embedding", "has 3 tokens"),
	{SET_(T("tokens"), "[string]:a,b,c"), UNSET_(L("vocab_size"))}},
    {VOCAB_("token types of fewer tokens", "token_type"),
	{SET_(T("token_type"), "[i32]:1,1,1")}},
    {VOCAB_("token types that are strings", "token_type"),
	{SET_(T("token_type"), "[string]:a,b")}},
    {VOCAB_("no merges", "merges"), {UNSET_(T("merges"))}},
    {VOCAB_("a merge of unknown tokens", "merge"), {SET_(T("merges"), "[string]:foo bar")}},
    {VOCAB_("a merge without a space", "merge"), {SET_(T("merges"), "[string]:foobar")}},
    {VOCAB_("a begin token beyond the vocabulary", "bos_token_id"),
	{SET_(T("bos_token_id"), "u32:512")}},
    {VOCAB_("an end token of -1", "eos_token_id"), {SET_(T("eos_token_id"), "i32:-1")}},
    {VOCAB_("SentencePiece without its bytes", "byte"), {SET_(T("model"), "string:llama")}},

    /* Weights. */
    {RUN_("an embedding that is no number", "not finite"),
	{TENSOR_(SPREAD, "token_embd.weight", "nan")}},
    {RUN_("an infinite norm", "not finite"), {TENSOR_(SPREAD, "blk.1.ffn_norm.weight", "inf")}},
    {RUN_("block scales that are no numbers", "not finite"),
	{TENSOR_(SPREAD, "blk.2.ffn_down.weight", "nan")}},
    {RUN_("weights whose products overflow", "not finite"),
	{TENSOR_(SPREAD, "output_norm.weight", "3e38")}},

    /* Split sets: three parts, of which one is spoilt. */
    {{"a set that lacks its second part", MKBROKEN_FILE, 66, "part 2 of 3"}, {SPLIT_("rm 2")}},
    {{"a set that lacks its first part, where the second is named", MKBROKEN_FILE, 66,
	 "part 1 of 3"},
	{SPLIT_("rm 1, open 2")}},
    {FILE_("a set whose second part is no model", "no GGUF file"), {SPLIT_("garbage 2")}},
    {FILE_("a set whose second part is empty", "empty"), {SPLIT_("empty 2")}},
    {FILE_("a set whose second part is the first again", "part 1 of 3, expected part 2"),
	{SPLIT_("copy 1 2")}},
    {FILE_("a part under another name", "its name must end in -00001-of-00003.gguf"),
	{SPLIT_("rename")}},
    {FILE_("a part named as another one", "is part 1 of 3"), {SPLIT_("copy 1 3, open 3")}},
    {FILE_("parts that count differently", "expected part 2 of 3"), {SPLIT_("count 2")}},
    {FILE_("a part without its number", "split.no is missing"), {SPLIT_("unnumbered 2")}},
    {FILE_("a part numbered past the last", "split.no is 3"), {SPLIT_("past 2")}},
    {FILE_("parts that do not agree on their tensors", "split.tensors.count"),
	{SPLIT_("tensors 2")}},
    {FILE_("a set with fewer tensors than it says", "have 29 tensors"),
	{SPLIT_("all tensors")}},
    {FILE_("a tensor that stands in two parts", "stands twice"), {SPLIT_("twice")}},
    {FILE_("65535 parts", "split.count is 65535"), {SET_("split.count", "u16:65535")}},
    {FILE_("a part's number is a string", "split.no is of type string"),
	{SET_("split.count", "u16:2"), SET_("split.no", "string:0")}},
};

const struct mkbroken_row *
mkbroken_row(int i)
{
	return i >= 0 && (size_t)i < sizeof rows / sizeof rows[0] ? &rows[i] : NULL;
}
