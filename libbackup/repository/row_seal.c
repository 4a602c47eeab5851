/* SPDX-License-Identifier: Apache-2.0 */
#include "libbackup/repository/row_seal.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "formats/sign.h"
#include "libbackup/base/fail.h"

struct bkp_sealer {
	EVP_MAC_CTX *context; /* owned */
	unsigned char key[BKP_SEAL_KEY];
};

int
bkp_sealer_new(const unsigned char key[BKP_SEAL_KEY], struct bkp_sealer **out,
    struct bkp_error *err)
{
	struct bkp_sealer *sealer = bkp_alloc(sizeof(*sealer), err);
	EVP_MAC *mac;

	if (sealer == NULL)
		return -1;
	mac = EVP_MAC_fetch(NULL, "GMAC", NULL);
	sealer->context = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
	EVP_MAC_free(mac);
	if (sealer->context == NULL) {
		bkp_sealer_free(sealer);
		return bkp_fail_nomem(err, "setting up GMAC");
	}
	memcpy(sealer->key, key, sizeof(sealer->key));
	*out = sealer;
	return 0;
}

void
bkp_sealer_free(struct bkp_sealer *sealer)
{
	if (sealer == NULL)
		return;
	EVP_MAC_CTX_free(sealer->context);
	OPENSSL_cleanse(sealer->key, sizeof(sealer->key));
	free(sealer);
}

static bool
make_tag(struct bkp_sealer *sealer, const unsigned char nonce[12],
    const void *data, size_t len, unsigned char tag[16])
{
	char cipher[] = "AES-256-GCM";
	unsigned char iv[12];
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
	    OSSL_PARAM_construct_octet_string(
		OSSL_MAC_PARAM_IV, iv, sizeof(iv)),
	    OSSL_PARAM_construct_end()};
	size_t tag_len = 0;

	memcpy(iv, nonce, sizeof(iv));
	return EVP_MAC_init(sealer->context, sealer->key, sizeof(sealer->key),
		   params) == 1 &&
	       EVP_MAC_update(sealer->context, data, len) == 1 &&
	       EVP_MAC_final(sealer->context, tag, &tag_len, 16) == 1 &&
	       tag_len == 16;
}

int
bkp_seal_make(struct bkp_sealer *sealer, const void *data, size_t len,
    struct bkp_row_seal *out, struct bkp_error *err)
{
	enum fmt_status status = fmt_random(out->nonce, sizeof(out->nonce));

	if (status != FMT_OK)
		return bkp_fail_format(err, status, "making a nonce");
	if (!make_tag(sealer, out->nonce, data, len, out->tag))
		return bkp_fail(err, BKP_IO, "sealing a chunk of rows failed");
	return 0;
}

bool
bkp_seal_fits(struct bkp_sealer *sealer, const struct bkp_row_seal *seal,
    const void *data, size_t len)
{
	unsigned char tag[16];

	return make_tag(sealer, seal->nonce, data, len, tag) &&
	       CRYPTO_memcmp(tag, seal->tag, sizeof(tag)) == 0;
}
