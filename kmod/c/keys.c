// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Gives keys to the kernel's TLS records (kTLS). */
#include <crypto/aead.h>
#include <linux/bug.h>
#include <linux/module.h>
#include <net/tls.h>
#include "ttls.h"

union crypto_info {
	struct tls_crypto_info info;
	struct tls12_crypto_info_aes_gcm_128 gcm128;
	struct tls12_crypto_info_aes_gcm_256 gcm256;
	struct tls12_crypto_info_chacha20_poly1305 chacha;
};

/* In TLS 1.2 the explicit half of a GCM nonce only has to be fresh: the sequence number is (RFC 5288 section 3). */
#define FILL_GCM(target, keys, version, sequence) do {						\
	memcpy((target)->key, (keys)->key, sizeof((target)->key));				\
	memcpy((target)->salt, (keys)->iv, sizeof((target)->salt));				\
	if ((version) == TLS_1_3_VERSION)							\
		memcpy((target)->iv, (keys)->iv + sizeof((target)->salt), sizeof((target)->iv));	\
	else											\
		memcpy((target)->iv, &(sequence), sizeof((target)->iv));			\
	memcpy((target)->rec_seq, &(sequence), sizeof((target)->rec_seq));			\
} while (0)

/* Returns the length of what setsockopt() takes; 0 for a cipher that there is not. */
static unsigned int keys_fill(union crypto_info *crypto, u16 version, const struct ttls_direction *keys)
{
	__be64 sequence = cpu_to_be64(keys->sequence);

	memset(crypto, 0, sizeof(*crypto));
	crypto->info.version = version;
	switch (keys->cipher) {
	case TTLS_CIPHER_AES128_GCM:
		crypto->info.cipher_type = TLS_CIPHER_AES_GCM_128;
		FILL_GCM(&crypto->gcm128, keys, version, sequence);
		return sizeof(crypto->gcm128);
	case TTLS_CIPHER_AES256_GCM:
		crypto->info.cipher_type = TLS_CIPHER_AES_GCM_256;
		FILL_GCM(&crypto->gcm256, keys, version, sequence);
		return sizeof(crypto->gcm256);
	case TTLS_CIPHER_CHACHA20_POLY1305:
		crypto->info.cipher_type = TLS_CIPHER_CHACHA20_POLY1305;
		memcpy(crypto->chacha.key, keys->key, sizeof(crypto->chacha.key));
		memcpy(crypto->chacha.iv, keys->iv, sizeof(crypto->chacha.iv));
		memcpy(crypto->chacha.rec_seq, &sequence, sizeof(crypto->chacha.rec_seq));
		return sizeof(crypto->chacha);
	default:
		ttls_assert(false);
		return 0;
	}
}

/*
 * kTLS copies what setsockopt() takes in two parts, the second behind the structure that it names. Where the compiler
 * notices, FORTIFY_SOURCE complains, once, of calls from within the kernel: a false alarm, but fatal with
 * panic_on_warn. So it counts as given already, before the first call. The module is kTLS's.
 */
void ttls_keys_hush(struct module *tls)
{
#if defined(CONFIG_DEBUG_BUGVERBOSE) && defined(CONFIG_GENERIC_BUG_RELATIVE_POINTERS)
	unsigned int i;

	for (i = 0; tls && i < tls->num_bugs; i++) {
		struct bug_entry *bug = &tls->bug_table[i];
		const char *file = (const char *)&bug->file_disp + bug->file_disp;

		if (bug->flags & BUGFLAG_ONCE && strstr(file, "linux/sockptr.h"))
			bug->flags |= BUGFLAG_DONE;
	}
#endif
}

/* The first keys of a direction, TLS_TX or TLS_RX. The socket's operations are kTLS's still. */
int ttls_keys_install(struct sock *sk, int direction, u16 version, const struct ttls_direction *keys)
{
	union crypto_info crypto;
	unsigned int len = keys_fill(&crypto, version, keys);
	int err = -EINVAL;

	if (len)
		err = sk->sk_prot->setsockopt(sk, SOL_TLS, direction, KERNEL_SOCKPTR(&crypto), len);
	memzero_explicit(&crypto, sizeof(crypto));
	return err;
}

#ifdef HAVE_REKEY
static_assert(sizeof(union crypto_info) <= sizeof(union tls_crypto_context));

static int keys_replace(struct sock *sk, int direction, const struct ttls_direction *keys)
{
	struct tls_context *ctx = tls_get_ctx(sk);
	bool sending = direction == TLS_TX;
	struct cipher_context *cipher = sending ? &ctx->tx : &ctx->rx;
	struct crypto_aead *aead = sending ? tls_sw_ctx_tx(ctx)->aead_send : tls_sw_ctx_rx(ctx)->aead_recv;
	unsigned int length = keys->cipher == TTLS_CIPHER_AES128_GCM ? 16 : 32;
	int err;

	/* The keys before are not to stay in memory. */
	if (!keys_fill((union crypto_info *)(sending ? &ctx->crypto_send : &ctx->crypto_recv), TLS_1_3_VERSION, keys))
		return -EINVAL;
	err = crypto_aead_setkey(aead, keys->key, length);
	if (err)
		return err;
	memcpy(cipher->iv, keys->iv, sizeof(keys->iv));
	memset(cipher->rec_seq, 0, sizeof(keys->sequence));
	if (!sending) {
		WRITE_ONCE(tls_sw_ctx_rx(ctx)->key_update_pending, false);
		/* What arrived meanwhile was not announced. */
		tls_sw_ctx_rx(ctx)->saved_data_ready(sk);
	}
	return 0;
}

/*
 * The keys of a direction of TLS 1.3 after a KeyUpdate. setsockopt() would do the same, and besides put kTLS's own
 * operations back: for a moment another thread's system calls would pass ours by. So this writes the fields that
 * setsockopt() does, under the same lock.
 */
int ttls_keys_replace(struct sock *sk, int direction, const struct ttls_direction *keys)
{
	int err;

	lock_sock(sk);
	err = keys_replace(sk, direction, keys);
	release_sock(sk);
	return err;
}
#endif
