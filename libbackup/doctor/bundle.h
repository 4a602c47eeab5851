/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_DOCTOR_BUNDLE_H
#define LIBBACKUP_DOCTOR_BUNDLE_H

/* What a support bundle is made of, and that nothing of it is a secret. */

#include <jansson.h>

#include "libbackup/base/config_yaml.h"
#include "libbackup/doctor.h"
#include "libbackup/doctor/redact.h"

struct bkp_bundle {
	struct bkp_redactor *redactor;
	struct config_file file; /* of the configuration */
	bool has_file;
	const char *config_name;            /* of that file; NULL: none */
	struct bkp_config *config;          /* NULL: it could not be loaded */
	const struct bkp_symptom *symptoms; /* with names marked */
	size_t symptom_count;
	const char *log; /* lines; NULL: none */
	json_t *shape;   /* owned: what is told of the configuration */
	json_t *runs;    /* borrowed: as they are kept; NULL: none */
};

/* A file in it. */
struct bkp_bundle_part {
	const char *name; /* NULL ends */
	int (*write)(struct bkp_bundle *bundle, struct fmt_buf *out,
	    struct bkp_error *err);
};

extern const struct bkp_bundle_part bkp_bundle_parts[];

struct bkp_bundle_file {
	const char *name;
	struct fmt_buf data;
};

#define BKP_BUNDLE_FILES 8

/* Makes the parts, once with canaries in place of everything and once of what
 * is there, and looks for secrets in both. *count files, to be freed, or none:
 * BKP_AUTH, and the field is named. */
int bkp_bundle_make(struct bkp_bundle *bundle,
    const struct bkp_bundle_part *parts,
    struct bkp_bundle_file files[BKP_BUNDLE_FILES], size_t *count,
    struct bkp_error *err);
void bkp_bundle_files_free(struct bkp_bundle_file *files, size_t count);

/* Tells the redactor all secrets and names of the configuration, and makes
 * `shape`. (shape.c) */
int bkp_bundle_learn(struct bkp_bundle *bundle, struct bkp_error *err);

/* With names marked as the checks gave them. (doctor.c) */
const struct bkp_symptom *bkp_doctor_marked(
    const struct bkp_doctor_result *result);

#endif
