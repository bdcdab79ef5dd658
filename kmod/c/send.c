// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Records out, of an accepted connection. They are cut to what TCP can send now. MSG_MORE leaves one open, as TCP
 * leaves a segment: for 200 ms, or until the socket is uncorked.
 *
 * kTLS keeps a mutex while it waits for room in the send buffer, so every other sender would wait along, whether it
 * may or not, and shutdown() and close() with their alert. So kTLS is always told not to wait. Who may wait does it
 * here, with nothing held.
 */
#include <net/tls.h>
#include "ttls.h"

/* For as long as TCP holds back a segment that is not full (tcp(7), TCP_CORK). */
#define HOLD		msecs_to_jiffies(200)

/* Of what a program may pass, what kTLS knows. It refuses what else TCP takes, or takes no notice of. */
#ifdef HAVE_SENDPAGE
#define FLAGS		(MSG_MORE | MSG_CMSG_COMPAT)
#else
#define FLAGS		(MSG_MORE | MSG_CMSG_COMPAT | MSG_SPLICE_PAGES)
#endif
#define NEVER_WAIT	(MSG_DONTWAIT | MSG_NOSIGNAL)

static bool send_is_open(const struct sock *sk)
{
	return (1 << sk->sk_state) & (TCPF_ESTABLISHED | TCPF_CLOSE_WAIT);
}

/* After each attempt to send: so much data went, or an error came. socket->sending is held. */
static void send_note(struct sock *sk, struct ttls_socket *socket, int n)
{
	u32 sent = max(n, 0);

	lockdep_assert_held(&socket->sending);
	socket->open = tls_get_ctx(sk)->pending_open_record_frags ? socket->open + sent : 0;
	socket->in_a_row = sent < U32_MAX - socket->in_a_row ? socket->in_a_row + sent : U32_MAX;
}

/*
 * A record of a type of its own, behind a record that was left open and all else that was written. Of no length, it
 * is only that. socket->sending is held.
 */
int ttls_send_record(struct sock *sk, u8 type, const void *content, size_t len, unsigned int flags)
{
	struct kvec vec = { (void *)content, len };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(1)];
	} control = {
		.header = { .cmsg_len = CMSG_LEN(1), .cmsg_level = SOL_TLS, .cmsg_type = TLS_SET_RECORD_TYPE },
	};
	struct msghdr msg = { .msg_flags = flags, .msg_control = &control, .msg_controllen = sizeof(control) };
	int sent;

	lockdep_assert_held(&ttls_socket_of(sk)->sending);
	*(u8 *)CMSG_DATA(&control.header) = type;
	iov_iter_kvec(&msg.msg_iter, 1 /* WRITE, ITER_SOURCE */, &vec, 1, len);
	sent = ttls_family_of(sk)->tls->sendmsg(sk, &msg, len);
	send_note(sk, ttls_socket_of(sk), 0);
	return sent < 0 ? sent : 0;
}

/* socket->sending is held. */
static void send_flush(struct sock *sk, struct ttls_socket *socket)
{
	lockdep_assert_held(&socket->sending);
	if (!tls_get_ctx(sk)->pending_open_record_frags)
		return;
	ttls_send_record(sk, TTLS_DATA, NULL, 0, NEVER_WAIT);
	/* Memory was short. */
	if (tls_get_ctx(sk)->pending_open_record_frags && send_is_open(sk))
		schedule_delayed_work(&socket->flush, HOLD);
}

static void send_flush_later(struct work_struct *work)
{
	struct ttls_socket *socket = container_of(to_delayed_work(work), struct ttls_socket, flush);

	ttls_send_flush(socket->sk);
}

/* Sends the record that MSG_MORE left open, if there is one. */
void ttls_send_flush(struct sock *sk)
{
	struct ttls_socket *socket = ttls_socket_of(sk);

	mutex_lock(&socket->sending);
	send_flush(sk, socket);
	mutex_unlock(&socket->sending);
}

/* A record was left open, or one that was is not any more. socket->sending is held. */
static void send_watch_open_record(struct sock *sk, struct ttls_socket *socket)
{
	lockdep_assert_held(&socket->sending);
	if (tls_get_ctx(sk)->pending_open_record_frags)
		schedule_delayed_work(&socket->flush, HOLD);
	else if (delayed_work_pending(&socket->flush))
		cancel_delayed_work(&socket->flush);
}

/*
 * The last alert, once and only while the connection stands. The send buffer may be full, of what the peer does not
 * take: what is left is at most a record that TCP took in part, one that was left open, and the alert. They go past
 * its bounds, because nothing that was written may be lost, and nobody waits here.
 */
void ttls_send_last(struct sock *sk, u8 level, u8 description)
{
	struct ttls_socket *socket = ttls_socket_of(sk);
	const u8 alert[2] = { level, description };
	struct tcp_sock *tp = tcp_sk(sk);
	u32 lowat;
	int room;

	mutex_lock(&socket->sending);
	if (!send_is_open(sk) || test_and_set_bit(TTLS_CLOSE_SENT, &socket->flags))
		goto out;
	lock_sock(sk);
	room = sk->sk_sndbuf;
	lowat = tp->notsent_lowat;
	WRITE_ONCE(sk->sk_sndbuf, INT_MAX);
	WRITE_ONCE(tp->notsent_lowat, UINT_MAX);
	release_sock(sk);
	ttls_send_record(sk, TTLS_ALERT, alert, sizeof(alert), NEVER_WAIT);
	lock_sock(sk);
	WRITE_ONCE(sk->sk_sndbuf, room);
	WRITE_ONCE(tp->notsent_lowat, lowat);
	release_sock(sk);
out:
	mutex_unlock(&socket->sending);
}

/*
 * Plaintext for a new record: what the core plans for what TCP can send now. The fields are read without the lock: this
 * is a matter of speed only.
 */
static u32 send_plan(struct sock *sk, struct ttls_socket *socket)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	struct ttls_record record = {
		.congestion_window = tcp_snd_cwnd(tp),
		.in_flight = tcp_packets_in_flight(tp),
		.segment = READ_ONCE(tp->mss_cache),
		.unsent = READ_ONCE(tp->write_seq) - READ_ONCE(tp->snd_nxt),
		.send_window = READ_ONCE(tp->snd_wnd),
		.idle = jiffies_to_msecs(tcp_jiffies32 - READ_ONCE(tp->lsndtime)),
		.timeout = jiffies_to_msecs(READ_ONCE(inet_csk(sk)->icsk_rto)),
		.in_a_row = socket->in_a_row,
		.overhead = tls_get_ctx(sk)->prot_info.overhead_size,
		.limit = socket->info.record_limit,
	};

	if (ttls_call(TTLS_RECORD_SIZE, &record)) {
		ttls_count(socket->space, TTLS_N_CONTAINED_PANICS, 1);
		return socket->info.record_limit;
	}
	socket->in_a_row = record.in_a_row;
	return record.size;
}

/* How many bytes of these the record that is open, or a new one, takes. socket->sending is held. */
static size_t send_room(struct sock *sk, struct ttls_socket *socket, size_t left, bool more)
{
	size_t overhead = tls_get_ctx(sk)->prot_info.overhead_size;
	bool fits = left + overhead <= READ_ONCE(tcp_sk(sk)->mss_cache) && left <= socket->info.record_limit;

	lockdep_assert_held(&socket->sending);
	/* What fits a segment goes in one record, so that nothing of another thread's comes between. */
	if (fits && socket->open && left > socket->planned - socket->open)
		send_flush(sk, socket);
	if (!socket->open) {
		/* And the plan need not be asked. */
		socket->planned = fits && !more ? left : send_plan(sk, socket);
		if (fits)
			socket->planned = max_t(u32, socket->planned, left);
	}
	return min_t(size_t, left, socket->planned > socket->open ? socket->planned - socket->open : 1);
}

/* Whether a record that has taken so many of these stays open, where the program has more. */
static bool send_stays_open(const struct ttls_socket *socket, size_t size, size_t left)
{
	return size == left && socket->open + size < socket->planned;
}

/* One record, behind a KeyUpdate if one is due. -EAGAIN if there is no room. */
static int send_one(struct sock *sk, struct ttls_socket *socket, struct msghdr *msg, size_t left, bool typed,
		    bool more)
{
	size_t size = left;
	int n;

	mutex_lock(&socket->sending);
	if (test_bit(TTLS_CLOSE_SENT, &socket->flags))
		n = -EPIPE;
	else
		n = ttls_key_update_due(sk, socket, NEVER_WAIT);
	if (!n) {
		if (typed) {
			socket->planned = socket->info.record_limit;
		} else {
			size = send_room(sk, socket, left, more);
			more = more && send_stays_open(socket, size, left);
		}
		msg->msg_flags = more ? msg->msg_flags | MSG_MORE : msg->msg_flags & ~MSG_MORE;
		iov_iter_truncate(&msg->msg_iter, size);
		n = ttls_family_of(sk)->tls->sendmsg(sk, msg, size);
		iov_iter_reexpand(&msg->msg_iter, left - max(n, 0));
		/* It went behind the one that was open. */
		if (typed && n >= 0)
			socket->open = 0;
		send_note(sk, socket, n);
	}
	send_watch_open_record(sk, socket);
	mutex_unlock(&socket->sending);
	return n;
}

/* After -EAGAIN. 0 if it is worth another attempt. */
static int send_wait_for_room(struct sock *sk, long *timeo, bool *hopeful)
{
	int err = 0;

	lock_sock(sk);
	/*
	 * Room that came in between is no reason to wait. If it does not help, memory is short, for which
	 * sk_stream_wait_memory() waits a while.
	 */
	if (!*timeo || !*hopeful || !sk_stream_memory_free(sk))
		err = sk_stream_wait_memory(sk, timeo);
	*hopeful = !sk_stream_memory_free(sk);
	release_sock(sk);
	return err;
}

/* Whether a program names the type of a record. Other control messages mean nothing here. */
static bool send_is_typed(struct msghdr *msg)
{
	struct cmsghdr *control;

	if (msg->msg_controllen)
		for_each_cmsghdr(control, msg)
			if (CMSG_OK(msg, control) && control->cmsg_level == SOL_TLS)
				return true;
	return false;
}

static int send_all(struct sock *sk, struct msghdr *msg)
{
	struct ttls_socket *socket = ttls_socket_of(sk);
	size_t left = iov_iter_count(&msg->msg_iter);
	unsigned int flags = msg->msg_flags;
	long timeo = sock_sndtimeo(sk, flags & MSG_DONTWAIT);
	bool typed = send_is_typed(msg), hopeful = true;
	size_t room = msg->msg_controllen;
	int sent = 0, n;

	do {
		msg->msg_flags = (flags & FLAGS) | NEVER_WAIT;
		msg->msg_controllen = typed ? room : 0;
		n = send_one(sk, socket, msg, left, typed, flags & MSG_MORE);
		if (n == -EAGAIN)
			n = send_wait_for_room(sk, &timeo, &hopeful);
		else if (n > 0)
			hopeful = true;
		else
			break;
		if (n < 0)
			break;
		left -= n;
		sent += n;
	} while (left);
	msg->msg_flags = flags;
	msg->msg_controllen = room;
	return sent ? sent : sk_stream_error(sk, flags, n);
}

/*
 * SO_ZEROCOPY: whoever asked for it waits to hear that the buffer is free. It is when the call returns, because
 * records are copies: that is told as TCP tells it on loopback.
 */
static int socket_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)
{
	struct ubuf_info *pages = NULL;
	int sent;

	/* TLS has no urgent data. */
	if (msg->msg_flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (msg->msg_flags & MSG_ZEROCOPY && len && !msg->msg_ubuf && sock_flag(sk, SOCK_ZEROCOPY)) {
#ifdef HAVE_ZEROCOPY_DEVMEM
		pages = msg_zerocopy_realloc(sk, len, NULL, false);
#else
		pages = msg_zerocopy_realloc(sk, len, NULL);
#endif
		if (!pages)
			return -ENOBUFS;
		uarg_to_msgzc(pages)->zerocopy = 0;
	}
	sent = send_all(sk, msg);
	if (pages && sent > 0)
		net_zcopy_put(pages);
	else
		net_zcopy_put_abort(pages, true);
	return sent;
}

#ifdef HAVE_SENDPAGE
static int socket_sendpage(struct sock *sk, struct page *page, int offset, size_t size, int flags)
{
	struct ttls_socket *socket = ttls_socket_of(sk);
	long timeo = sock_sndtimeo(sk, flags & MSG_DONTWAIT);
	int more = flags & (MSG_MORE | MSG_SENDPAGE_NOTLAST), n;
	bool hopeful = true;

	do {
		mutex_lock(&socket->sending);
		if (test_bit(TTLS_CLOSE_SENT, &socket->flags)) {
			n = -EPIPE;
		} else {
			size_t part = send_room(sk, socket, size, more);
			int open = send_stays_open(socket, part, size) ? more : 0;

			n = ttls_family_of(sk)->tls->sendpage(sk, page, offset, part, open | NEVER_WAIT);
			send_note(sk, socket, n);
		}
		send_watch_open_record(sk, socket);
		mutex_unlock(&socket->sending);
		if (n != -EAGAIN)
			break;
		n = send_wait_for_room(sk, &timeo, &hopeful);
	} while (!n);
	return n > 0 ? n : sk_stream_error(sk, flags, n);
}
#endif

/* sendfile() came to the end of its file earlier than it said. kTLS would wait for room here. */
static void socket_splice_eof(struct socket *sock)
{
	ttls_send_flush(sock->sk);
}

void ttls_send_learn(struct proto *prot)
{
	prot->sendmsg = socket_sendmsg;
#ifdef HAVE_SENDPAGE
	prot->sendpage = socket_sendpage;
#endif
	prot->splice_eof = socket_splice_eof;
}

void ttls_send_init(struct ttls_socket *socket)
{
	mutex_init(&socket->sending);
	INIT_DELAYED_WORK(&socket->flush, send_flush_later);
}
