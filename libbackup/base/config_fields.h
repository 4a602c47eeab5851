/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBBACKUP_BASE_CONFIG_FIELDS_H
#define LIBBACKUP_BASE_CONFIG_FIELDS_H

/* What the configuration may hold, as tables: the reader, the copy and the
 * free all follow them, so a new key is one line. */

#include "libbackup/base/config_impl.h"

enum field_type {
	FIELD_NAME,         /* the source's own name; names its kind */
	FIELD_TEXT,         /* char * */
	FIELD_PATH,         /* char *, made absolute */
	FIELD_LOCATION,     /* char *, a path or a URL */
	FIELD_FILE_NAME,    /* char *, one component */
	FIELD_CONNINFO,     /* char *, libpq's, no password in it */
	FIELD_SECRET,       /* char *, wiped */
	FIELD_SECRET_FILE,  /* the same char *, read from a file */
	FIELD_TEXTS,        /* struct bkp_strings */
	FIELD_PATHS,        /* struct bkp_strings, made absolute */
	FIELD_DATABASES,    /* struct bkp_strings, or `all` */
	FIELD_BOOL,         /* bool */
	FIELD_SIGNATURE,    /* bool: is it `v2`, not `v4` */
	FIELD_VERSIONS,     /* bool: is it `all`, not `current` */
	FIELD_COUNT,        /* unsigned, 1 to 64 */
	FIELD_NUMBER,       /* unsigned, 0 to 100,000 */
	FIELD_PERCENT,      /* unsigned, 0 to 50, "5%" */
	FIELD_DURATION,     /* char *, "30d" */
	FIELD_COPY,         /* unsigned, enum bkp_copy */
	FIELD_SPAN,         /* uint64_t, milliseconds of "30m" */
	FIELD_DROP,         /* unsigned, 1 to 100, "20%" */
	FIELD_LEVEL,        /* unsigned, enum bkp_verify_level */
	FIELD_RETENTION,    /* of struct bkp_config, a map of its own */
	FIELD_LIMITS,       /* the same */
	FIELD_STORAGE,      /* the same */
	FIELD_OBJECT_LOCK,  /* the same, in `storage` */
	FIELD_LOCK_MODE,    /* bool: is it `compliance`, not `governance` */
	FIELD_DAYS,         /* unsigned, 1 to 36,500 */
	FIELD_PRIORITY,     /* bool: is it `idle`, not `normal` */
	FIELD_RATE,         /* uint64_t, bytes a second of "10MiB" */
	FIELD_RATES,        /* of struct bkp_config, a map of its own */
	FIELD_PRUNE,        /* bool: is it `after`, not `never` */
	FIELD_WINDOW,       /* struct bkp_window_config, "22:00-06:00" */
	FIELD_HOOKS,        /* of struct bkp_config, a map of its own */
	FIELD_HOOK_LIST,    /* struct bkp_hook_list, in `hooks` */
	FIELD_REPOSITORIES, /* of struct bkp_config, maps by their names */
	FIELD_JOBS,         /* the same */
	FIELD_REFERENCES,   /* of struct bkp_config, a list of maps */
	FIELD_ASSERTIONS,   /* the same */
	FIELD_TOLD,         /* struct bkp_notifications, a list of maps */
	FIELD_SOURCES       /* of struct bkp_config, a list of maps */
};

struct config_field {
	const char *name; /* NULL ends a table */
	enum field_type type;
	size_t offset; /* in bkp_config or bkp_source_config */
	bool is_required;
};

#define CONFIG_FIELDS_MAX 32 /* in one table */

/* Of struct bkp_config. */
extern const struct config_field bkp_config_fields[];

/* What `retention`, `verification`, `storage` and the `object_lock` in that
 * hold; of struct bkp_config, too. */
extern const struct config_field bkp_config_object_lock_fields[];
extern const struct config_field bkp_config_retention_fields[];
extern const struct config_field bkp_config_storage_fields[];
extern const struct config_field bkp_config_verification_fields[];

extern const struct config_field bkp_config_hooks_fields[];
extern const struct config_field bkp_config_rates_fields[];

/* What one of `repositories` and one of `jobs` may say for itself; of struct
 * bkp_config, too. */
extern const struct config_field bkp_config_repository_fields[];
extern const struct config_field bkp_config_job_fields[];

/* One of `references`, `assertions` and `notifications`; of the structs that
 * are named so. */
extern const struct config_field bkp_config_reference_fields[];
extern const struct config_field bkp_config_assertion_fields[];
extern const struct config_field bkp_config_notification_fields[];

/* One of the commands in `hooks`; of struct bkp_hook_config. */
extern const struct config_field bkp_config_hook_fields[];

struct config_kind {
	const char *name; /* "postgres"; NULL ends */
	enum bkp_source_kind kind;
	const struct config_field *fields; /* of struct bkp_source_config */
};

extern const struct config_kind bkp_config_kinds[];

/* Where a field lies in the struct that `base` points to. */
void *bkp_config_slot(void *base, const struct config_field *field);

void bkp_strings_free(struct bkp_strings *strings);

/* Deep copies of the fields whose bit is in `given`, in place of what was
 * there. */
int bkp_config_fields_copy(const struct config_field *fields, uint32_t given,
    const void *from, void *to, struct bkp_error *err);

/* Frees and wipes everything that the table names. */
void bkp_config_fields_free(const struct config_field *fields, void *base);

#endif
