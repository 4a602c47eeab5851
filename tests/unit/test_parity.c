/* SPDX-License-Identifier: Apache-2.0 */
/* Any damage within the shards is made good byte for byte, and nothing else
 * ever comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "formats/parity.h"

#define HEAD(p) (64 + 16 * ((p)->data_shards + (p)->parity_shards) + 32)

static uint64_t random_state = 1;

static uint64_t
next_random(void)
{
	random_state =
	    random_state * 6364136223846793005u + 1442695040888963407u;
	return random_state >> 33;
}

struct sample {
	struct fmt_buf object, parity;
	struct fmt_parity view;
};

static struct sample
make_sample(size_t len, unsigned percent)
{
	struct sample sample = {FMT_BUF_INIT, FMT_BUF_INIT, {0}};

	assert_int_equal(fmt_buf_reserve(&sample.object, len + 1), FMT_OK);
	for (size_t i = 0; i < len; i++)
		sample.object.data[i] = (unsigned char)next_random();
	sample.object.len = len;
	assert_int_equal(
	    fmt_parity_make(sample.object.data, len, percent, &sample.parity),
	    FMT_OK);
	assert_int_equal(fmt_parity_open(sample.parity.data, sample.parity.len,
			     &sample.view),
	    FMT_OK);
	assert_int_equal(
	    fmt_parity_check(sample.parity.data, sample.parity.len), FMT_OK);
	assert_int_equal(sample.view.object_len, len);
	return sample;
}

static void
free_sample(struct sample *sample)
{
	fmt_buf_free(&sample->object);
	fmt_buf_free(&sample->parity);
}

static void
copy(const struct fmt_buf *from, struct fmt_buf *to)
{
	fmt_buf_clear(to);
	assert_int_equal(fmt_buf_append(to, from->data, from->len), FMT_OK);
}

/* Whether the damaged bytes become the object again; nothing else may. */
static bool
is_repaired(const struct sample *sample, const struct fmt_buf *object,
    const struct fmt_buf *parity)
{
	struct fmt_buf out = FMT_BUF_INIT;
	unsigned damaged = 0;
	enum fmt_status status = fmt_parity_repair(parity->data, parity->len,
	    object->data, object->len, &out, &damaged);

	if (status == FMT_OK) {
		assert_int_equal(out.len, sample->object.len);
		if (out.len > 0)
			assert_memory_equal(
			    out.data, sample->object.data, out.len);
	} else {
		assert_int_equal(out.len, 0);
	}
	fmt_buf_free(&out);
	return status == FMT_OK;
}

static const size_t sizes[] = {
    0, 1, 2, 63, 511, 512, 513, 1024, 5000, 65535, 65536, 65537, 300001};

#define EACH_SIZE(i) (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)

static void
what_is_not_damaged_stays(void **state)
{
	(void)state;
	for
		EACH_SIZE(i)
		{
			struct sample sample = make_sample(sizes[i], 5);

			assert_true(is_repaired(
			    &sample, &sample.object, &sample.parity));
			assert_true(sample.view.parity_shards >= 2);
			assert_true(sample.view.parity_shards * 20 >=
				    sample.view.data_shards);
			free_sample(&sample);
		}
}

/* Damages `count` shards, of the object and of the parity, in one of three
 * ways. */
static void
damage_shards(const struct sample *sample, unsigned count,
    struct fmt_buf *object, struct fmt_buf *parity)
{
	const struct fmt_parity *view = &sample->view;
	unsigned all = view->data_shards + view->parity_shards;
	bool is_done[255] = {false};

	while (count > 0) {
		unsigned shard = (unsigned)next_random() % all;
		bool is_data = shard < view->data_shards;
		size_t from =
		    is_data ? (size_t)shard * view->shard_len
			    : HEAD(view) + (size_t)(shard - view->data_shards) *
					       view->shard_len;
		unsigned char *data = is_data ? object->data : parity->data;
		size_t len = view->shard_len;

		if (is_done[shard])
			continue;
		is_done[shard] = true;
		count--;
		if (is_data && from + len > object->len)
			len = object->len - from;
		if (len == 0)
			continue;
		switch (next_random() % 3) {
		case 0:
			data[from + next_random() % len] ^= 0x40;
			break;
		case 1:
			for (size_t i = 0; i < len; i++)
				data[from + i] ^= 0xa5;
			break;
		default:
			data[from] ^= 1;
			memset(data + from + len / 2, 0, len - len / 2);
		}
	}
}

static void
any_damage_within_the_shards_is_repaired(void **state)
{
	(void)state;
	for
		EACH_SIZE(i)
		{
			static const unsigned percents[] = {1, 5, 20, 50};

			for (unsigned p = 0; p < 4; p++) {
				struct sample sample =
				    make_sample(sizes[i], percents[p]);
				struct fmt_buf object = FMT_BUF_INIT,
					       parity = FMT_BUF_INIT;

				for (unsigned round = 0; round < 12; round++) {
					copy(&sample.object, &object);
					copy(&sample.parity, &parity);
					damage_shards(&sample,
					    1 + (unsigned)next_random() %
						    sample.view.parity_shards,
					    &object, &parity);
					assert_true(is_repaired(
					    &sample, &object, &parity));
				}
				fmt_buf_free(&object);
				fmt_buf_free(&parity);
				free_sample(&sample);
			}
		}
}

static void
more_than_that_is_refused(void **state)
{
	struct sample sample = make_sample(300001, 5);
	struct fmt_buf object = FMT_BUF_INIT;

	(void)state;
	copy(&sample.object, &object);
	for (unsigned i = 0; i < sample.view.parity_shards; i++)
		object.data[(size_t)i * sample.view.shard_len] ^= 1;
	assert_true(is_repaired(&sample, &object, &sample.parity));
	object.data[100 * (size_t)sample.view.shard_len] ^= 1;
	assert_false(is_repaired(&sample, &object, &sample.parity));
	fmt_buf_free(&object);
	free_sample(&sample);
}

static void
an_end_that_is_missing_is_made_anew(void **state)
{
	(void)state;
	for
		EACH_SIZE(i)
		{
			struct sample sample = make_sample(sizes[i], 5);
			unsigned k = sample.view.data_shards,
				 m = sample.view.parity_shards;
			size_t kept =
			    k > m ? (size_t)(k - m) * sample.view.shard_len : 0;
			struct fmt_buf object = FMT_BUF_INIT;

			copy(&sample.object, &object);
			object.len = kept < object.len ? kept : object.len;
			assert_true(
			    is_repaired(&sample, &object, &sample.parity));
			copy(&sample.object, &object);
			assert_int_equal(
			    fmt_buf_append_text(&object, "something behind"),
			    FMT_OK);
			assert_true(
			    is_repaired(&sample, &object, &sample.parity));
			fmt_buf_free(&object);
			free_sample(&sample);
		}
}

static void
either_head_is_enough(void **state)
{
	struct sample sample = make_sample(5000, 5);
	struct fmt_buf parity = FMT_BUF_INIT, object = FMT_BUF_INIT;
	size_t head = HEAD(&sample.view);

	(void)state;
	copy(&sample.object, &object);
	object.data[17] ^= 1;
	for (size_t at = 0; at < head; at++) {
		copy(&sample.parity, &parity);
		parity.data[at] ^= 0x20;
		assert_int_equal(
		    fmt_parity_check(parity.data, parity.len), FMT_AUTH);
		assert_true(is_repaired(&sample, &object, &parity));
		parity.data[at] ^= 0x20;
		parity.data[parity.len - head + at] ^= 0x20;
		assert_int_equal(
		    fmt_parity_check(parity.data, parity.len), FMT_AUTH);
		assert_true(is_repaired(&sample, &object, &parity));
		parity.data[at] ^= 0x20;
		assert_false(is_repaired(&sample, &object, &parity));
	}
	/* A parity that lost its end. */
	copy(&sample.parity, &parity);
	parity.len -= head + sample.view.shard_len;
	assert_true(is_repaired(&sample, &object, &parity));
	assert_int_equal(fmt_parity_check(parity.data, parity.len), FMT_AUTH);
	fmt_buf_free(&parity);
	fmt_buf_free(&object);
	free_sample(&sample);
}

static void
a_head_of_another_version_is_refused(void **state)
{
	struct sample sample = make_sample(10, 5);
	struct fmt_parity view;
	unsigned char *head = sample.parity.data;

	(void)state;
	assert_int_equal(fmt_parity_open(head, 40, &view), FMT_MALFORMED);
	assert_int_equal(fmt_parity_open("", 0, &view), FMT_MALFORMED);
	free_sample(&sample);
}

static void
what_cannot_be_asked_for_is_refused(void **state)
{
	struct fmt_buf out = FMT_BUF_INIT;

	(void)state;
	assert_int_equal(fmt_parity_make("x", 1, 0, &out), FMT_LIMIT);
	assert_int_equal(
	    fmt_parity_make("x", 1, FMT_PARITY_MAX_PERCENT + 1, &out),
	    FMT_LIMIT);
	assert_int_equal(out.len, 0);
	fmt_buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_not_damaged_stays),
	    cmocka_unit_test(any_damage_within_the_shards_is_repaired),
	    cmocka_unit_test(more_than_that_is_refused),
	    cmocka_unit_test(an_end_that_is_missing_is_made_anew),
	    cmocka_unit_test(either_head_is_enough),
	    cmocka_unit_test(a_head_of_another_version_is_refused),
	    cmocka_unit_test(what_cannot_be_asked_for_is_refused),
	};

	return cmocka_run_group_tests_name("parity", tests, NULL, NULL);
}
