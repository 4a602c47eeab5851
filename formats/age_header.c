/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/age_impl.h"

#include <openssl/crypto.h>
#include <string.h>

static const char version_line[] = "age-encryption.org/v1\n";
static const char version_prefix[] = "age-encryption.org/";

/* Of a version that is not known. */
#define MAX_VERSION_LINE 256

#define MAC_COLUMNS FMT_AGE_BASE64_SIZE(FMT_AGE_MAC)
#define MAC_MARK "---"
#define MAC_LINE (sizeof MAC_MARK - 1 + 1 + MAC_COLUMNS + 1)

/* Tells that this is no age file from as few bytes as come. Each answer rests
 * on the first byte that is wrong, so portions make no difference. */
static enum fmt_status
check_version(const unsigned char *data, size_t len)
{
	const size_t prefix = sizeof version_prefix - 1;
	const size_t whole = sizeof version_line - 1;

	if (memcmp(data, version_line, len < whole ? len : whole) == 0)
		return FMT_OK;
	if (memcmp(data, version_prefix, len < prefix ? len : prefix) != 0)
		return FMT_MALFORMED;
	for (size_t i = prefix; i < len && i < MAX_VERSION_LINE; i++) {
		if (data[i] == '\n')
			return i == prefix ? FMT_MALFORMED : FMT_UNSUPPORTED;
		/* A carriage return after "v1" is no other version. */
		if (data[i] < 0x21 || data[i] > 0x7e)
			return FMT_MALFORMED;
	}
	return len < MAX_VERSION_LINE ? FMT_TRUNCATED : FMT_LIMIT;
}

enum fmt_status
fmt_age_header_scan(struct fmt_age_scan *scan, const unsigned char *data,
    size_t len, size_t *size)
{
	enum fmt_status status = check_version(data, len);

	if (status != FMT_OK)
		return status;
	/* Text all the way, so binary data is refused where it begins. */
	for (; scan->pos < len && scan->pos < FMT_AGE_MAX_HEADER; scan->pos++) {
		unsigned char byte = data[scan->pos];

		if (byte == '\n') {
			if (scan->pos - scan->line >= sizeof MAC_MARK - 1 &&
			    memcmp(data + scan->line, MAC_MARK,
				sizeof MAC_MARK - 1) == 0) {
				*size = scan->pos + 1;
				return FMT_OK;
			}
			scan->line = scan->pos + 1;
		} else if (byte < 0x20 || byte > 0x7e) {
			return FMT_MALFORMED;
		}
	}
	return scan->pos < FMT_AGE_MAX_HEADER ? FMT_TRUNCATED : FMT_LIMIT;
}

enum fmt_status
fmt_age_header_write(const struct fmt_age_recipient *recipients, size_t count,
    const unsigned char file_key[FMT_AGE_FILE_KEY], struct fmt_buf *out)
{
	char text[MAC_COLUMNS];
	unsigned char mac[FMT_AGE_MAC];
	size_t start = out->len;
	enum fmt_status status;

	if (count == 0)
		return FMT_MALFORMED;
	for (size_t i = 0; i < count; i++) {
		if (recipients[i].kind == FMT_AGE_SCRYPT && count != 1)
			return FMT_MALFORMED;
	}
	status = fmt_buf_append_text(out, version_line);
	for (size_t i = 0; i < count && status == FMT_OK; i++)
		status = fmt_age_stanza_write(&recipients[i], file_key, out);
	if (status == FMT_OK)
		status = fmt_buf_append_text(out, MAC_MARK);
	if (status == FMT_OK)
		status = fmt_age_header_mac(
		    file_key, out->data + start, out->len - start, mac);
	if (status == FMT_OK)
		status = fmt_buf_append_byte(out, ' ');
	if (status == FMT_OK)
		status = fmt_buf_append(
		    out, text, fmt_age_base64_encode(mac, sizeof mac, text));
	if (status == FMT_OK)
		status = fmt_buf_append_byte(out, '\n');
	return status;
}

/* Every stanza is well-formed, and one of scrypt is alone: who knows the
 * passphrase made the file for it. */
static enum fmt_status
check_stanzas(const unsigned char *header, size_t end)
{
	struct fmt_age_stanza stanza;
	size_t pos = sizeof version_line - 1, count = 0;
	bool has_scrypt = false;

	while (pos < end) {
		enum fmt_status status =
		    fmt_age_stanza_parse(header, end, &pos, &stanza);

		if (status != FMT_OK)
			return status;
		has_scrypt |= stanza.kind == FMT_AGE_STANZA_SCRYPT;
		count++;
	}
	return count == 0 || (has_scrypt && count != 1) ? FMT_MALFORMED
							: FMT_OK;
}

static enum fmt_status
unwrap_any(const struct fmt_age_identity *identities, size_t count,
    const unsigned char *header, size_t end,
    unsigned char file_key[FMT_AGE_FILE_KEY])
{
	struct fmt_age_stanza stanza;
	size_t pos = sizeof version_line - 1;

	while (pos < end) {
		enum fmt_status status =
		    fmt_age_stanza_parse(header, end, &pos, &stanza);

		if (status != FMT_OK)
			return status;
		for (size_t i = 0; i < count; i++) {
			status = fmt_age_stanza_unwrap(
			    &stanza, &identities[i], file_key);
			if (status != FMT_NOMATCH)
				return status;
		}
	}
	return FMT_NOMATCH;
}

enum fmt_status
fmt_age_header_unwrap(const struct fmt_age_identity *identities, size_t count,
    const unsigned char *header, size_t size,
    unsigned char file_key[FMT_AGE_FILE_KEY])
{
	unsigned char named[FMT_AGE_MAC], mac[FMT_AGE_MAC];
	size_t mac_line, marked;
	enum fmt_status status;

	if (size < sizeof version_line - 1 + MAC_LINE)
		return FMT_MALFORMED;
	mac_line = size - MAC_LINE;
	marked = mac_line + sizeof MAC_MARK - 1;
	if (memcmp(header + mac_line - 1, "\n" MAC_MARK " ",
		sizeof MAC_MARK + 1) != 0)
		return FMT_MALFORMED;
	status = fmt_age_base64_decode_exact((const char *)header + marked + 1,
	    MAC_COLUMNS, named, sizeof named);
	if (status == FMT_OK)
		status = check_stanzas(header, mac_line);
	if (status == FMT_OK)
		status =
		    unwrap_any(identities, count, header, mac_line, file_key);
	if (status == FMT_OK)
		status = fmt_age_header_mac(file_key, header, marked, mac);
	if (status == FMT_OK && CRYPTO_memcmp(named, mac, sizeof mac) != 0)
		status = FMT_AUTH;
	if (status != FMT_OK)
		OPENSSL_cleanse(file_key, FMT_AGE_FILE_KEY);
	return status;
}
