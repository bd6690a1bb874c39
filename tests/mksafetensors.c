/*
 * SPDX-License-Identifier: ISC
 *
 * mksafetensors OUT: a small sentence encoder as such are published, in OUT/good, the same in two shards in
 * OUT/shards, in the ways of its kin in OUT/bge, OUT/e5 and OUT/gte, and spoilt ones, each in a directory of
 * its own under OUT/broken, whose name says how.
 */
#include "libcore/dtype.h"
#include "tests/folder.h"
#include "tests/mkmodel_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { EMBD = 32, FF = 64, VOCAB = 12, POSITIONS = 16, MAX = 1 << 16 };

static const char config[] =
    "{\"model_type\":\"bert\",\"hidden_act\":\"gelu\",\"hidden_size\":32,"
    "\"intermediate_size\":64,\"layer_norm_eps\":1e-12,\"max_position_embeddings\":16,"
    "\"num_attention_heads\":2,\"num_hidden_layers\":1,\"type_vocab_size\":2,"
    "\"position_embedding_type\":\"absolute\",\"vocab_size\":12}\n";
static const char tokenizer[] =
    "{\"added_tokens\":[{\"id\":0,\"content\":\"[PAD]\",\"special\":true},"
    "{\"id\":1,\"content\":\"[UNK]\",\"special\":true},"
    "{\"id\":2,\"content\":\"[CLS]\",\"special\":true},"
    "{\"id\":3,\"content\":\"[SEP]\",\"special\":true}],"
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,"
    "\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},"
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","
    "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,"
    "\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"a\":4,\"##a\":5,\"b\":6,"
    "\"##b\":7,\"disk\":8,\"full\":9,\"the\":10,\".\":11}}}\n";
static const char pooling[] =
    "{\"pooling_mode_cls_token\":false,\"pooling_mode_mean_tokens\":true}\n";

/* Tensors: name, rows (0: a vector), columns. */
static const struct {
	const char *name;
	int n_row, n_col;
} tensors[] = {
    {"embeddings.LayerNorm.bias", 0, EMBD},
    {"embeddings.LayerNorm.weight", 0, EMBD},
    {"embeddings.position_embeddings.weight", POSITIONS, EMBD},
    {"embeddings.token_type_embeddings.weight", 2, EMBD},
    {"embeddings.word_embeddings.weight", VOCAB, EMBD},
    {"encoder.layer.0.attention.output.LayerNorm.bias", 0, EMBD},
    {"encoder.layer.0.attention.output.LayerNorm.weight", 0, EMBD},
    {"encoder.layer.0.attention.output.dense.bias", 0, EMBD},
    {"encoder.layer.0.attention.output.dense.weight", EMBD, EMBD},
    {"encoder.layer.0.attention.self.key.bias", 0, EMBD},
    {"encoder.layer.0.attention.self.key.weight", EMBD, EMBD},
    {"encoder.layer.0.attention.self.query.bias", 0, EMBD},
    {"encoder.layer.0.attention.self.query.weight", EMBD, EMBD},
    {"encoder.layer.0.attention.self.value.bias", 0, EMBD},
    {"encoder.layer.0.attention.self.value.weight", EMBD, EMBD},
    {"encoder.layer.0.intermediate.dense.bias", 0, FF},
    {"encoder.layer.0.intermediate.dense.weight", FF, EMBD},
    {"encoder.layer.0.output.LayerNorm.bias", 0, EMBD},
    {"encoder.layer.0.output.LayerNorm.weight", 0, EMBD},
    {"encoder.layer.0.output.dense.bias", 0, EMBD},
    {"encoder.layer.0.output.dense.weight", EMBD, FF},
};
enum { N_TENSOR = sizeof tensors / sizeof tensors[0] };

_Noreturn static void
fail(const char *what)
{
	fprintf(stderr, "mksafetensors: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
file_put(const char *dir, const char *name, const void *bytes, size_t n)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	test_folder_write(path, bytes, n);
}

/* The directory with all but the tensors. */
static void
dir_make(const char *dir)
{
	char path[512];
	snprintf(path, sizeof path, "%s/1_Pooling", dir);
	if ((mkdir(dir, 0777) < 0 && errno != EEXIST) ||
	    (mkdir(path, 0777) < 0 && errno != EEXIST))
		fail(dir);
	file_put(dir, "config.json", config, sizeof config - 1);
	file_put(dir, "tokenizer.json", tokenizer, sizeof tokenizer - 1);
	file_put(dir, "1_Pooling/config.json", pooling, sizeof pooling - 1);
}

/* How publishers differ. */
static struct {
	const char *prefix; /* before each name */
	bool half;          /* F16 instead of F32 */
	bool extras;        /* a buffer of positions and a head, which no vector comes of */
} style = {.prefix = ""};

/* A value of a tensor; returns its bytes. */
static size_t
value_put(unsigned char *data, float x)
{
	uint16_t half = llm_f32_to_f16(x);
	if (style.half)
		memcpy(data, &half, 2);
	else
		memcpy(data, &x, 4);
	return style.half ? 2 : 4;
}

/* The tensors beside, behind the others. */
static size_t
extras_put(char *header, unsigned char *data, size_t at)
{
	memset(data + at, 0, 8 * POSITIONS + 4 * EMBD * EMBD);
	sprintf(header,
	    ",\"%sembeddings.position_ids\":{\"dtype\":\"I64\",\"shape\":[1,%d],"
	    "\"data_offsets\":[%zu,%zu]},\"%spooler.dense.weight\":{\"dtype\":\"F32\","
	    "\"shape\":[%d,%d],\"data_offsets\":[%zu,%zu]}",
	    style.prefix, POSITIONS, at, at + 8 * POSITIONS, style.prefix, EMBD, EMBD,
	    at + 8 * POSITIONS, at + 8 * POSITIONS + 4 * EMBD * EMBD);
	return at + 8 * POSITIONS + 4 * EMBD * EMBD;
}

/* A file of tensors [first, last): its header in text, its data after it; returns the bytes of data. */
static size_t
tensors_make(char *header, unsigned char *data, int first, int last)
{
	size_t at = 0, used = (size_t)sprintf(header, "{\"__metadata__\":{\"format\":\"pt\"}");
	struct mkfile_random r;
	for (int i = first; i < last; i++) {
		int n = (tensors[i].n_row > 0 ? tensors[i].n_row : 1) * tensors[i].n_col;
		bool gain = strstr(tensors[i].name, "LayerNorm.weight") != NULL;
		char shape[32];
		snprintf(shape, sizeof shape, tensors[i].n_row > 0 ? "[%d,%d]" : "[%d]",
		    tensors[i].n_row > 0 ? tensors[i].n_row : tensors[i].n_col,
		    tensors[i].n_col);
		used += (size_t)sprintf(header + used,
		    ",\"%s%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
		    style.prefix, tensors[i].name, style.half ? "F16" : "F32", shape, at,
		    at + (style.half ? 2 : 4) * (size_t)n);
		mkfile_random_seed(&r, 5, tensors[i].name);
		for (int k = 0; k < n; k++)
			at += value_put(data + at,
			    (float)(0.4 * mkfile_random_unit(&r) - 0.2) + (gain ? 1.0f : 0.0f));
	}
	if (style.extras) {
		at = extras_put(header + used, data, at);
		used += strlen(header + used);
	}
	strcpy(header + used, "}");
	return at;
}

static void
tensors_put(const char *dir, const char *name, uint64_t n_header, const char *header,
    const unsigned char *data, size_t n_data)
{
	static unsigned char out[2 * MAX];
	size_t n = strlen(header);
	for (int i = 0; i < 8; i++)
		out[i] = (unsigned char)(n_header >> 8 * i);
	memcpy(out + 8, header, n);
	memcpy(out + 8 + n, data, n_data);
	file_put(dir, name, out, 8 + n + n_data);
}

/* header with the first `from` replaced by `to`. */
static void
replace(char *header, const char *from, const char *to)
{
	static char rest[MAX];
	char *at = strstr(header, from);
	if (at == NULL) {
		errno = EINVAL;
		fail(from);
	}
	strcpy(rest, at + strlen(from));
	strcpy(at, to);
	strcat(at, rest);
}

/* One replacement in the header each; the length of the header follows. */
static const struct {
	const char *name, *from, *to;
} replaced[] = {
    {"not-json", "{\"__metadata__\"", "[\"__metadata__\""},
    {"empty-object", "\"__metadata__\"", "\"__metadata__\":{}}{\"x\""},
    {"trailing-comma", "}}", "}},}"},
    {"metadata-number", "\"pt\"", "7"},
    {"metadata-array", "{\"format\":\"pt\"}", "[]"},
    {"name-twice", "embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"},
    {"name-missing", "embeddings.LayerNorm.weight", "embeddings.LayerNorm.other"},
    {"name-empty", "embeddings.LayerNorm.weight", ""},
    {"name-nul", "embeddings.LayerNorm.weight", "embeddings\\u0000LayerNorm.weight"},
    {"name-control", "embeddings.LayerNorm.weight", "embeddings\\nLayerNorm.weight"},
    {"name-not-utf8", "embeddings.LayerNorm.weight", "embeddings\xFFLayerNorm.weight"},
    {"dtype-unknown", "\"F32\"", "\"F4\""},
    {"dtype-int", "\"F32\"", "\"I32\""},
    {"dtype-number", "\"F32\"", "32"},
    {"dtype-narrow", "\"F32\"", "\"F16\""},
    {"dtype-missing", "\"dtype\":\"F32\",", ""},
    {"shape-missing", "\"shape\":[32],", ""},
    {"shape-string", "[32]", "\"32\""},
    {"shape-negative", "[32]", "[-32]"},
    {"shape-fraction", "[32]", "[32.0]"},
    {"shape-huge", "[32]", "[4294967296,4294967296,4294967296]"},
    {"shape-beyond-int", "[32]", "[99999999999999999999]"},
    {"shape-deep", "[32]", "[1,1,1,1,1,1,1,1,32]"},
    {"shape-zero", "[32]", "[32,0]"},
    {"shape-other", "[32]", "[31]"},
    {"offsets-missing", ",\"data_offsets\":[0,128]", ""},
    {"offsets-one", "[0,128]", "[0]"},
    {"offsets-three", "[0,128]", "[0,128,256]"},
    {"offsets-reversed", "[0,128]", "[128,0]"},
    {"offsets-negative", "[0,128]", "[-128,0]"},
    {"offsets-huge", "[0,128]", "[9223372036854775679,9223372036854775807]"},
    {"offsets-float", "[0,128]", "[0,1.28e2]"},
    {"overlap", "[128,256]", "[0,128]"},
    {"hole", "[0,128]", "[4,132]"},
    {"member-more", "\"dtype\":\"F32\"", "\"x\":1,\"dtype\":\"F32\""},
    {"tensor-null", "{\"dtype\":\"F32\",\"shape\":[32],\"data_offsets\":[0,128]}", "null"},
    {"rows-swapped", "\"shape\":[64,32]", "\"shape\":[32,64]"},
};

static void
broken_dir(char dir[static 512], const char *out, const char *name)
{
	snprintf(dir, 512, "%s/broken/%s", out, name);
	dir_make(dir);
}

/* Faults of lengths and bytes. */
static void
lengths_break(const char *out, const char *header, const unsigned char *data, size_t n)
{
	static char deep[8000];
	char dir[512];
	size_t n_header = strlen(header);
	broken_dir(dir, out, "no-bytes");
	file_put(dir, "model.safetensors", "", 0);
	broken_dir(dir, out, "seven-bytes");
	file_put(dir, "model.safetensors", "\0\0\0\0\0\0\0", 7);
	broken_dir(dir, out, "header-zero");
	tensors_put(dir, "model.safetensors", 0, header, data, n);
	broken_dir(dir, out, "header-short");
	tensors_put(dir, "model.safetensors", n_header - 1, header, data, n);
	broken_dir(dir, out, "header-long");
	tensors_put(dir, "model.safetensors", n_header + 4, header, data, n);
	broken_dir(dir, out, "header-beyond-file");
	tensors_put(dir, "model.safetensors", n_header + n + 1, header, data, n);
	broken_dir(dir, out, "header-huge");
	tensors_put(dir, "model.safetensors", UINT64_MAX - 7, header, data, n);
	broken_dir(dir, out, "data-short");
	tensors_put(dir, "model.safetensors", n_header, header, data, n - 1);
	broken_dir(dir, out, "data-long");
	tensors_put(dir, "model.safetensors", n_header, header, data, n + 4);
	broken_dir(dir, out, "no-tensors");
	tensors_put(dir, "model.safetensors", 2, "{}", data, 0);
	broken_dir(dir, out, "nested");
	memset(deep, '[', sizeof deep - 1);
	memcpy(deep, "{\"a\":", 5);
	tensors_put(dir, "model.safetensors", sizeof deep - 1, deep, data, 0);
	broken_dir(dir, out, "not-finite");
	unsigned char kept[4];
	memcpy(kept, data, 4);
	memcpy((unsigned char *)(uintptr_t)data, "\0\0\xC0\x7F", 4);
	tensors_put(dir, "model.safetensors", n_header, header, data, n);
	memcpy((unsigned char *)(uintptr_t)data, kept, 4);
}

/* Both shards, and an index with one replacement. */
static void
shards_make(const char *dir, const char *from, const char *to)
{
	static char header[MAX], index[MAX];
	static unsigned char data[MAX];
	static const char *const name[] = {"one.safetensors", "two.safetensors"};
	size_t used = (size_t)sprintf(index, "{\"metadata\":{},\"weight_map\":{");
	for (int shard = 0; shard < 2; shard++) {
		int first = shard * 8, last = shard ? N_TENSOR : 8;
		size_t n = tensors_make(header, data, first, last);
		tensors_put(dir, name[shard], strlen(header), header, data, n);
		for (int i = first; i < last; i++)
			used += (size_t)sprintf(index + used, "%s\"%s\":\"%s\"",
			    i > 0 ? "," : "", tensors[i].name, name[shard]);
	}
	strcpy(index + used, "}}");
	if (from != NULL)
		replace(index, from, to);
	file_put(dir, "model.safetensors.index.json", index, strlen(index));
}

static void
shards_break(const char *out)
{
	static const struct {
		const char *name, *from, *to;
	} faults[] = {
	    {"index-not-json", "}}", "}"},
	    {"index-no-map", "weight_map", "weights"},
	    {"index-map-array", "{\"metadata\":{},",
		"{\"metadata\":{},\"weight_map\":[],\"x\":1,\"y\":"},
	    {"index-name-missing", "\"embeddings.LayerNorm.bias\":\"one.safetensors\",", ""},
	    {"index-name-more", "{\"embeddings", "{\"x\":\"one.safetensors\",\"embeddings"},
	    {"index-wrong-shard", "one.safetensors", "two.safetensors"},
	    {"index-outside", "one.safetensors", "../good/model.safetensors"},
	    {"index-number", "\"one.safetensors\"", "1"},
	};
	char dir[512];
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		broken_dir(dir, out, faults[i].name);
		if (strcmp(faults[i].name, "index-map-array") == 0) {
			shards_make(dir, NULL, NULL);
			file_put(
			    dir, "model.safetensors.index.json", "{\"weight_map\":[]}", 17);
			continue;
		}
		shards_make(dir, faults[i].from, faults[i].to);
	}
	broken_dir(dir, out, "shards-same-tensor");
	shards_make(dir, NULL, NULL);
	static char header[MAX];
	static unsigned char data[MAX];
	size_t n = tensors_make(header, data, 7, N_TENSOR);
	tensors_put(dir, "two.safetensors", strlen(header), header, data, n);
}

/* The encoder as the makers of bge, e5 and gte publish theirs. */
static void
kin_make(const char *out)
{
	static char header[MAX];
	static unsigned char data[MAX];
	static const char modules[] = "[{\"idx\":0,\"name\":\"0\",\"path\":\"\","
				      "\"type\":\"sentence_transformers.models.Transformer\"},"
				      "{\"idx\":1,\"name\":\"1\",\"path\":\"1_Pooling\","
				      "\"type\":\"sentence_transformers.models.Pooling\"},"
				      "{\"idx\":2,\"name\":\"2\",\"path\":\"2_Normalize\","
				      "\"type\":\"sentence_transformers.models.Normalize\"}]\n";
	static const char first[] =
	    "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false}\n";
	static const char *const names[] = {"bge", "e5", "gte"};
	for (int i = 0; i < 3; i++) {
		char dir[512];
		style.prefix = i == 1 ? "bert." : "";
		style.half = i == 2;
		style.extras = i != 2;
		snprintf(dir, sizeof dir, "%s/%s", out, names[i]);
		dir_make(dir);
		file_put(dir, "modules.json", modules, sizeof modules - 1);
		if (i == 0)
			file_put(dir, "1_Pooling/config.json", first, sizeof first - 1);
		size_t n = tensors_make(header, data, 0, N_TENSOR);
		tensors_put(dir, "model.safetensors", strlen(header), header, data, n);
	}
	style.half = style.extras = false;
	style.prefix = "";
}

int
main(int argc, char **argv)
{
	static char header[MAX], spoilt[MAX];
	static unsigned char data[MAX];
	char dir[512];
	if (argc != 2) {
		fprintf(stderr, "mksafetensors: mksafetensors OUT\n");
		return 1;
	}
	size_t n = tensors_make(header, data, 0, N_TENSOR);
	snprintf(dir, sizeof dir, "%s/broken", argv[1]);
	if ((mkdir(argv[1], 0777) < 0 && errno != EEXIST) ||
	    (mkdir(dir, 0777) < 0 && errno != EEXIST))
		fail(dir);
	snprintf(dir, sizeof dir, "%s/good", argv[1]);
	dir_make(dir);
	tensors_put(dir, "model.safetensors", strlen(header), header, data, n);
	snprintf(dir, sizeof dir, "%s/shards", argv[1]);
	dir_make(dir);
	shards_make(dir, NULL, NULL);
	kin_make(argv[1]);
	for (size_t i = 0; i < sizeof replaced / sizeof replaced[0]; i++) {
		broken_dir(dir, argv[1], replaced[i].name);
		strcpy(spoilt, header);
		replace(spoilt, replaced[i].from, replaced[i].to);
		tensors_put(dir, "model.safetensors", strlen(spoilt), spoilt, data, n);
	}
	lengths_break(argv[1], header, data, n);
	shards_break(argv[1]);
	return 0;
}
