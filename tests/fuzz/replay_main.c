/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over files instead of under a fuzzer, so that every input
 * that ever mattered is tried in an ordinary build. Files are named as
 * arguments; without any, those of corpus/<codec> are taken, where the program
 * is called fuzz_<codec>. One TAP line a file; a crash leaves the plan unmet.
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Exactly as much memory as the file has, so that a sanitizer sees a read
 * beyond its end. */
static int
replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	int result = -1;
	long size;

	if (file == NULL)
		return -1;
	if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 ||
	    fseek(file, 0, SEEK_SET) != 0)
		goto out;
	data = malloc(size > 0 ? (size_t)size : 1);
	if (data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size)
		goto out;
	result = LLVMFuzzerTestOneInput(data, (size_t)size);
out:
	free(data);
	fclose(file);
	return result;
}

static int
report(int number, const char *path)
{
	const char *name = strrchr(path, '/');
	int result;

	/* Said before the run, so that a crash can be put to its file. */
	printf("# %s\n", path);
	fflush(stdout);
	result = replay(path);
	printf("%s %d %s\n", result == 0 ? "ok" : "not ok", number,
	    name == NULL ? path : name + 1);
	return result != 0;
}

static int
is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int
replay_corpus(const char *codec)
{
	const char *top = getenv("top_srcdir");
	struct dirent **entries = NULL;
	char path[PATH_MAX];
	int count, failed = 0;

	snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%s",
	    top == NULL ? "." : top, codec);
	count = scandir(path, &entries, is_input, alphasort);
	if (count <= 0) {
		printf("1..1\nnot ok 1 there are no inputs in %s\n", path);
		free(entries);
		return 1;
	}
	printf("1..%d\n", count);
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%s/%s",
		    top == NULL ? "." : top, codec, entries[i]->d_name);
		failed += report(i + 1, path);
		free(entries[i]);
	}
	free(entries);
	return failed > 0;
}

int
main(int argc, char **argv)
{
	const char *codec = strstr(argv[0], "fuzz_");
	int failed = 0;

	if (argc > 1) {
		printf("1..%d\n", argc - 1);
		for (int i = 1; i < argc; i++)
			failed += report(i, argv[i]);
		return failed > 0;
	}
	if (codec == NULL) {
		puts("Bail out! the program is not called fuzz_<codec>");
		return 1;
	}
	return replay_corpus(codec + strlen("fuzz_"));
}
