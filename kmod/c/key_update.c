// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * KeyUpdate (RFC 8446 section 4.6.3), where kTLS can take new keys: it opens nothing after such a message until it
 * gets them. Both traffic secrets are kept for that, until the next ones take their place.
 */
#include <linux/module.h>
#include <net/tls.h>
#include "ttls.h"

/* What the core uses in user space: below the 2^24.5 of RFC 8446 section 5.5. */
#define MAX_RECORDS	BIT(24)
#define INTERNAL_ERROR	80

static unsigned long records_per_key = MAX_RECORDS;
module_param(records_per_key, ulong, 0644);
MODULE_PARM_DESC(records_per_key, "Records sent under one key of TLS 1.3 before it is renewed, at most 2^24");

/* The keys that follow those of a secret. Who gets them wipes them. */
static int key_update_next_keys(const struct ttls_socket *socket, const u8 *secret, struct ttls_next_keys *next)
{
	memset(next, 0, sizeof(*next));
	memcpy(next->direction.secret, secret, TTLS_SECRET);
	next->suite = socket->info.suite;
	if (!ttls_call(TTLS_NEXT_KEYS, next))
		return 0;
	ttls_count(socket->space, TTLS_N_CONTAINED_PANICS, 1);
	return -EIO;
}

/*
 * Sends a KeyUpdate, and goes on with the next keys; -EAGAIN if TCP has no room for it. socket->sending is held, so
 * that no record comes between. One answers all requests before it.
 */
static int key_update_send(struct sock *sk, struct ttls_socket *socket, unsigned int flags)
{
	static const u8 update_not_requested[] = { TLS_HANDSHAKE_KEYUPDATE, 0, 0, 1, 0 };
	struct ttls_next_keys next;
	int err;

	lockdep_assert_held(&socket->sending);
	/* First, because a request that comes while this is under way asks for another. */
	clear_bit(TTLS_ANSWER_DUE, &socket->flags);
	err = key_update_next_keys(socket, socket->send_secret, &next);
	if (!err)
		err = ttls_send_record(sk, TTLS_HANDSHAKE, update_not_requested, sizeof(update_not_requested), flags);
	if (err) {
		set_bit(TTLS_ANSWER_DUE, &socket->flags);
	} else {
		err = ttls_keys_replace(sk, TLS_TX, &next.direction);
		if (err)
			/* The peer expects records under keys that are not there. */
			set_bit(TTLS_CLOSE_SENT, &socket->flags);
		else
			memcpy(socket->send_secret, next.direction.secret, TTLS_SECRET);
	}
	memzero_explicit(&next, sizeof(next));
	return err;
}

static bool key_update_is_worn(struct sock *sk)
{
	u64 sequence = get_unaligned_be64(tls_get_ctx(sk)->tx.rec_seq);

	return sequence >= min(READ_ONCE(records_per_key), MAX_RECORDS);
}

/* Before a record is sent, with socket->sending held. Flags are those of the record. */
int ttls_key_update_due(struct sock *sk, struct ttls_socket *socket, unsigned int flags)
{
	lockdep_assert_held(&socket->sending);
	if (!ttls_key_update_possible(socket))
		return 0;
	if (!test_bit(TTLS_ANSWER_DUE, &socket->flags) && !key_update_is_worn(sk))
		return 0;
	return key_update_send(sk, socket, flags & (MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* Whether kTLS has a KeyUpdate that the peer's next records wait for. */
bool ttls_key_update_pending(const struct sock *sk)
{
	return READ_ONCE(tls_sw_ctx_rx(tls_get_ctx(sk))->key_update_pending);
}

/*
 * Follows what a handshake record of the peer holds. Returns 0, or the alert that the connection has to end with.
 * An answer that can not be sent now, because another thread sends or TCP has no room, goes before the next record.
 */
int ttls_key_update_received(struct sock *sk, struct ttls_socket *socket, const u8 *message, size_t len)
{
	struct ttls_key_update update = {
		.message = { message, len },
		.now = div_u64(ktime_get_ns(), NSEC_PER_MSEC),
		.allowance = socket->allowance,
	};
	struct ttls_next_keys next;
	int err;

	if (ttls_call(TTLS_KEY_UPDATE, &update))
		return INTERNAL_ERROR;
	if (update.alert)
		return update.alert;
	socket->allowance = update.allowance;
	err = key_update_next_keys(socket, socket->receive_secret, &next);
	if (!err)
		err = ttls_keys_replace(sk, TLS_RX, &next.direction);
	if (!err)
		memcpy(socket->receive_secret, next.direction.secret, TTLS_SECRET);
	memzero_explicit(&next, sizeof(next));
	if (err)
		return INTERNAL_ERROR;
	if (!update.requested)
		return 0;
	set_bit(TTLS_ANSWER_DUE, &socket->flags);
	if (mutex_trylock(&socket->sending)) {
		ttls_key_update_due(sk, socket, MSG_DONTWAIT | MSG_NOSIGNAL);
		mutex_unlock(&socket->sending);
	}
	return 0;
}
