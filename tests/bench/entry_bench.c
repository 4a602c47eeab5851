/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long entry lists take: writes and reads back as many entries as it is
 * told, made as a bucket's objects are, and says what each took.
 *
 *	make tests/bench/entry_bench && tests/bench/entry_bench 1000000
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "formats/entry.h"

/* As much as a metadata chunk may bring at once. */
#define PORTION ((size_t)256 * 1024)

#define BATCH 1000ul

static double
now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
	return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

static void
must(enum fmt_status status)
{
	if (status == FMT_OK)
		return;
	fprintf(stderr, "entry_bench: %s\n", fmt_status_text(status));
	exit(1);
}

/* An object of one chunk, with what servers tell of most. */
static void
make_object(struct fmt_entry *entry, unsigned long number)
{
	char path[64];
	struct fmt_chunk_ref ref = {.len = 4000};

	memcpy(ref.id, &number, sizeof(number));
	memset(ref.id + sizeof(number), 0x5a, sizeof(ref.id) - sizeof(number));
	snprintf(path, sizeof(path), "bucket/photos/2024/%03lu/%06lu.jpeg",
	    number / 1000000, number % 1000000);
	must(fmt_entry_init(entry, path, "bucket.object"));
	entry->attrs = json_pack("{s:s, s:{s:s}, s:s}", "content_type",
	    "image/jpeg", "metadata", "uploader", "somebody", "version_id",
	    "3f2a9c44-1b9e-4c5d-8a77-0d0f6a1c2b3e");
	if (entry->attrs == NULL)
		must(FMT_NOMEM);
	entry->has_content = entry->has_sha256 = true;
	memcpy(entry->sha256, ref.id, sizeof(ref.id));
	entry->size = ref.len;
	must(fmt_entry_add_chunk(entry, &ref));
}

/* A batch at a time, so that making the objects is not measured. */
static double
write_list(unsigned long count, struct fmt_buf *list)
{
	static struct fmt_entry entries[BATCH];
	double took = 0, start;

	for (unsigned long done = 0; done < count; done += BATCH) {
		unsigned long left = count - done;
		unsigned long batch = left < BATCH ? left : BATCH;

		for (unsigned long i = 0; i < batch; i++)
			make_object(&entries[i], done + i);
		start = now();
		for (unsigned long i = 0; i < batch; i++)
			must(fmt_entry_encode(&entries[i], list));
		took += now() - start;
		for (unsigned long i = 0; i < batch; i++)
			fmt_entry_free(&entries[i]);
	}
	return took;
}

static unsigned long
take_entries(struct fmt_entry_reader *reader)
{
	unsigned long count = 0;
	bool have;

	for (;; count++) {
		struct fmt_entry entry = FMT_ENTRY_INIT;

		must(fmt_entry_reader_next(reader, &entry, &have));
		if (!have)
			return count;
		fmt_entry_free(&entry);
	}
}

static double
read_list(unsigned long count, const struct fmt_buf *list)
{
	struct fmt_entry_reader *reader;
	unsigned long seen = 0;
	double start = now();

	must(fmt_entry_reader_new(&reader));
	for (size_t at = 0; at < list->len; at += PORTION) {
		size_t left = list->len - at;

		must(fmt_entry_reader_feed(
		    reader, list->data + at, left < PORTION ? left : PORTION));
		seen += take_entries(reader);
	}
	must(fmt_entry_reader_finish(reader));
	must(seen == count ? FMT_OK : FMT_TRUNCATED);
	fmt_entry_reader_free(reader);
	return now() - start;
}

int
main(int argc, char **argv)
{
	unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
	struct fmt_buf list = FMT_BUF_INIT;
	double took = write_list(count, &list);

	printf("%lu entries, %zu bytes\n", count, list.len);
	printf("encoding: %.3f s\n", took);
	printf("decoding: %.3f s\n", read_list(count, &list));
	fmt_buf_free(&list);
	return 0;
}
