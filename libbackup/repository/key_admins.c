/* SPDX-License-Identifier: Apache-2.0 */
/* Administrators come and go, and keys are rotated. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "formats/json.h"
#include "libbackup/base/fail.h"
#include "libbackup/key.h"
#include "libbackup/repository/key_change.h"
#include "libbackup/repository/key_objects.h"

_Static_assert(FMT_AGE_RECIPIENT_TEXT == 63, "key.h says 63 bytes");

/* ---- adding ---- */

static bool
has_label(const struct bkp_roster *roster, const char *label)
{
	for (size_t i = 0; i < roster->key_count; i++)
		if (strcmp(roster->keys[i].label, label) == 0)
			return true;
	return false;
}

static int
check_label(
    const struct bkp_roster *roster, const char *label, struct bkp_error *err)
{
	if (strlen(label) >= BKP_WRITER_NAME || !fmt_utf8_is_valid(label))
		return bkp_fail(err, BKP_INVALID,
		    "a label is at most %d bytes of UTF-8",
		    BKP_WRITER_NAME - 1);
	for (const char *c = label; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return bkp_fail(err, BKP_INVALID,
			    "a label has no control characters in it");
	}
	if (label[0] != '\0' && has_label(roster, label))
		return bkp_fail(err, BKP_EXISTS,
		    "there is an administrator already that is called '%s'; "
		    "give another --label",
		    label);
	return 0;
}

static int
check_options(const struct bkp_key_add_options *options, struct bkp_error *err)
{
	if ((options->recipient == NULL) == (options->passphrase == NULL))
		return bkp_fail(err, BKP_INVALID,
		    "give a recipient (age1...) or a passphrase, one of them");
	return bkp_passphrase_check(
	    options->passphrase, options->work_factor, err);
}

/* "passphrase", "passphrase 2" and so on: the first that nobody has. */
static void
choose_label(const struct bkp_roster *roster, char label[BKP_WRITER_NAME])
{
	(void)snprintf(label, BKP_WRITER_NAME, "%s", BKP_PASSPHRASE_LABEL);
	for (unsigned n = 2; has_label(roster, label); n++)
		(void)snprintf(
		    label, BKP_WRITER_NAME, "%s %u", BKP_PASSPHRASE_LABEL, n);
}

/* Twice the same would be two administrators, and whoever is removed would go
 * on opening the repository as the other one. */
static int
check_passphrase(const struct bkp_key_change *change, const char *passphrase,
    struct bkp_error *err)
{
	const struct bkp_roster_key *found;

	if (bkp_key_objects_find_passphrase(change->repository->store,
		&change->roster, passphrase, &found, err) < 0)
		return -1;
	if (found == NULL)
		return 0;
	return bkp_fail(err, BKP_EXISTS,
	    "this passphrase is the one of the administrator '%s' already; "
	    "give another one",
	    found->label[0] != '\0' ? found->label : found->recipient);
}

static int
add(struct bkp_key_change *change, const struct bkp_key_add_options *options,
    struct bkp_error *err)
{
	bool is_passphrase = options->passphrase != NULL;
	const char *label = options->label != NULL ? options->label : "";
	size_t before = change->roster.key_count;
	char chosen[BKP_WRITER_NAME];

	if (is_passphrase && options->label == NULL) {
		choose_label(&change->roster, chosen);
		label = chosen;
	}
	if (check_label(&change->roster, label, err) < 0 ||
	    (is_passphrase &&
		check_passphrase(change, options->passphrase, err) < 0))
		return -1;
	change->has_new_admins = true;
	if (is_passphrase)
		return bkp_key_objects_add_passphrase(change->repository->store,
		    &change->roster, options->passphrase, options->work_factor,
		    label, err);
	if (bkp_roster_add_recipient(
		&change->roster, options->recipient, label, err) < 0)
		return -1;
	if (change->roster.key_count == before)
		return bkp_fail(err, BKP_EXISTS,
		    "%s is an administrator already", options->recipient);
	return 0;
}

int
bkp_key_add(struct bkp_repository *repository,
    const struct bkp_key_add_options *given, struct bkp_error *err)
{
	struct bkp_key_add_options options = BKP_KEY_ADD_OPTIONS_INIT;
	struct bkp_key_change change;
	int rc;

	/* A program that was built against an older header gives less. */
	memcpy(&options, given,
	    given->size < sizeof(options) ? given->size : sizeof(options));
	if (check_options(&options, err) < 0)
		return -1;
	rc = bkp_key_change_begin(repository, &change, err);
	if (rc == 0)
		rc = add(&change, &options, err);
	if (rc == 0)
		rc = bkp_key_change_commit(&change, err);
	bkp_key_change_end(&change);
	return rc;
}

/* ---- removing ---- */

static bool
begins_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

/* The one that is meant; a whole label or recipient before the start of one. */
static int
find_admin(const struct bkp_roster *roster, const char *who, size_t *out,
    struct bkp_error *err)
{
	size_t found = 0, count = 0;

	for (size_t i = 0; who[0] != '\0' && i < roster->key_count; i++) {
		const struct bkp_roster_key *key = &roster->keys[i];

		if (strcmp(key->recipient, who) == 0 ||
		    strcmp(key->label, who) == 0) {
			*out = i;
			return 0;
		}
		if (begins_with(key->recipient, who) ||
		    begins_with(key->label, who)) {
			found = i;
			count++;
		}
	}
	if (count == 0)
		return bkp_fail(err, BKP_NOTFOUND,
		    "there is no administrator '%.80s'; backup-key show lists "
		    "them",
		    who);
	if (count > 1)
		return bkp_fail(err, BKP_INVALID,
		    "'%.80s' fits %zu administrators; give more of the label "
		    "or the recipient",
		    who, count);
	*out = found;
	return 0;
}

static int
remove_admin(struct bkp_key_change *change, const char *who, char recipient[63],
    struct bkp_error *err)
{
	size_t n = 0;

	if (find_admin(&change->roster, who, &n, err) < 0)
		return -1;
	if (change->roster.key_count == 1)
		return bkp_fail(err, BKP_INVALID,
		    "this is the last administrator: nobody could restore any "
		    "more; add another one first");
	memcpy(recipient, change->roster.keys[n].recipient,
	    FMT_AGE_RECIPIENT_TEXT);
	bkp_roster_remove_key(&change->roster, n);
	change->has_new_admins = true;
	return 0;
}

int
bkp_key_remove(struct bkp_repository *repository, const char *who,
    char recipient[63], struct bkp_error *err)
{
	struct bkp_key_change change;
	char removed[FMT_AGE_RECIPIENT_TEXT];
	int rc = bkp_key_change_begin(repository, &change, err);

	if (rc == 0)
		rc = remove_admin(&change, who, removed, err);
	if (rc == 0)
		rc = bkp_key_change_commit(&change, err);
	bkp_key_change_end(&change);
	if (rc == 0)
		memcpy(recipient, removed, sizeof(removed));
	return rc;
}

/* ---- rotating ---- */

int
bkp_key_rotate(struct bkp_repository *repository, struct bkp_error *err)
{
	struct bkp_key_change change;
	int rc = bkp_key_change_begin(repository, &change, err);

	if (rc == 0)
		rc = bkp_key_ring_rotate(&change.ring, err);
	if (rc == 0)
		rc = bkp_roster_set_generation(&change.roster,
		    change.roster.generation + 1, &change.ring, err);
	change.has_new_generation = true;
	if (rc == 0)
		rc = bkp_key_change_commit(&change, err);
	bkp_key_change_end(&change);
	return rc;
}
