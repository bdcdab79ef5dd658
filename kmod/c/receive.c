// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Records in, of an accepted connection. close_notify reads as end of file, an alert as ECONNRESET, a KeyUpdate as
 * nothing. All that tells a program what it can read speaks of plaintext: poll(), FIONREAD, SO_RCVLOWAT, TCP_INQ.
 */
#include <asm/ioctls.h>
#include <linux/sockios.h>
#include <linux/wait_bit.h>
#include <net/strparser.h>
#include <net/tls.h>
#include "ttls.h"
/* Needs what the others include. */
#include <linux/splice.h>

#define WARNING		1
#define FATAL		2
#define CLOSE_NOTIFY	0

static struct tls_sw_context_rx *context_of(const struct sock *sk)
{
	return tls_sw_ctx_rx(tls_get_ctx(sk));
}

/* Nothing that the peer sends counts any more. */
static void receive_end(struct ttls_socket *socket, bool reset)
{
	if (reset)
		set_bit(TTLS_RESET_DUE, &socket->flags);
	smp_mb__before_atomic();	/* who sees the end sees why */
	set_bit(TTLS_EOF_READ, &socket->flags);
}

/* The end, because of what the peer sent. */
static void receive_refuse(struct sock *sk, struct ttls_socket *socket, u8 level, u8 description)
{
	ttls_send_last(sk, level, description);
	receive_end(socket, true);
}

static int tls_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
	const struct proto *tls = ttls_family_of(sk)->tls;
#ifdef HAVE_RECVMSG_ADDR_LEN
	int addr_len;

	return tls->recvmsg(sk, msg, len, flags, &addr_len);
#else
	return tls->recvmsg(sk, msg, len, flags);
#endif
}

/* What is at the head of the queue, and its type; at most len bytes of one record or more. */
static int receive_typed(struct sock *sk, u8 *type, u8 *content, size_t len, int flags)
{
	struct kvec vec = { content, len };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(1)];
	} control = {};
	struct msghdr msg = { .msg_control = &control, .msg_controllen = sizeof(control), .msg_flags = MSG_DONTWAIT };
	int n;

	iov_iter_kvec(&msg.msg_iter, 0 /* READ, ITER_DEST */, &vec, 1, len);
	n = tls_recvmsg(sk, &msg, len, flags | MSG_DONTWAIT);
	if (n < 0)
		return n;
	if (control.header.cmsg_level != SOL_TLS)
		return -EAGAIN;
	*type = *(u8 *)CMSG_DATA(&control.header);
	return n;
}

static u8 receive_record_type(struct sk_buff *skb)
{
	return ((struct sk_skb_cb *)skb->cb)->tls.control;
}

static void receive_handshake_record(struct sock *sk, struct ttls_socket *socket, const u8 *content, size_t len)
{
	int alert;

	if (!ttls_key_update_possible(socket)) {
		/* New keys, which kTLS here can not take, or a renegotiation. */
		receive_refuse(sk, socket, WARNING, CLOSE_NOTIFY);
		return;
	}
	alert = ttls_key_update_received(sk, socket, content, len);
	if (alert)
		receive_refuse(sk, socket, FATAL, alert);
}

/*
 * Whether the next record that kTLS has opened is not data. Empty ones before it are dropped: kTLS finds nothing to
 * read in them, and does not get past them.
 */
static bool receive_is_control_next(struct sock *sk)
{
	struct sk_buff_head *list = &context_of(sk)->rx_list;
	struct sk_buff *skb;
	bool control;

	if (skb_queue_empty_lockless(list))
		return false;
	/* Whoever touches the list holds the socket's lock meanwhile. */
	lock_sock(sk);
	while ((skb = skb_peek(list)) && receive_record_type(skb) == TTLS_DATA && !strp_msg(skb)->full_len) {
		__skb_unlink(skb, list);
		consume_skb(skb);
	}
	control = skb && receive_record_type(skb) != TTLS_DATA;
	release_sock(sk);
	return control;
}

static int receive_take_control_record(struct sock *sk, struct ttls_socket *socket)
{
	u8 content[256], type;
	/* Data is left where it is. What is not stays at the head until it is taken here. */
	int n = receive_typed(sk, &type, content, 1, MSG_PEEK);

	if (n < 0)
		return n;
	if (type == TTLS_DATA)
		return -EAGAIN;
	n = receive_typed(sk, &type, content, sizeof(content), 0);
	if (n < 0)
		return n;
	if (type == TTLS_HANDSHAKE)
		receive_handshake_record(sk, socket, content, n);
	else
		receive_end(socket, type != TTLS_ALERT || n < 2 || content[1] != CLOSE_NOTIFY);
	return 0;
}

/* Deals with a record at the head of the queue that is not data; 0 if so. -EAGAIN: there is none. */
static int receive_control_record(struct sock *sk, struct ttls_socket *socket)
{
	int err;

	/* Two readers may have met the same record. Neither keeps the other waiting for its peer. */
	wait_on_bit_lock(&socket->flags, TTLS_CONTROL_LOCK, TASK_UNINTERRUPTIBLE);
	err = receive_take_control_record(sk, socket);
	clear_and_wake_up_bit(TTLS_CONTROL_LOCK, &socket->flags);
	return err;
}

/* What kTLS says where the next record is not data, or waits for new keys. */
static bool receive_is_control(ssize_t n, int told)
{
	return n == told || n == -EKEYEXPIRED;
}

static bool receive_is_over(const struct ttls_socket *socket)
{
	return test_bit(TTLS_EOF_READ, &socket->flags);
}

/* The result of a read where it is over: once the reason, then end of file. */
static int receive_last_result(struct ttls_socket *socket)
{
	return test_and_clear_bit(TTLS_RESET_DUE, &socket->flags) ? -ECONNRESET : 0;
}

/* Whether kTLS has a record, opened or not. */
static bool receive_is_opening(const struct sock *sk)
{
	return READ_ONCE(context_of(sk)->strp.msg_ready) || !skb_queue_empty_lockless(&context_of(sk)->rx_list);
}

static int receive_plain(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
	size_t room = msg->msg_controllen;
	int n;

	/* Of records and their types a program is to know nothing. */
	msg->msg_controllen = 0;
	n = tls_recvmsg(sk, msg, len, flags);
	msg->msg_controllen = room;
	msg->msg_flags &= ~(MSG_CTRUNC | MSG_EOR);
	return n;
}

/* Plaintext that lies in kTLS, up to a record that is not data. */
static size_t receive_opened(struct sock *sk)
{
	struct sk_buff *skb;
	size_t sum = 0;

	lock_sock(sk);
	skb_queue_walk(&context_of(sk)->rx_list, skb) {
		if (receive_record_type(skb) != TTLS_DATA)
			break;
		sum += strp_msg(skb)->full_len;
	}
	release_sock(sk);
	return sum;
}

/*
 * Opens records that have come, until so much plaintext lies there: what they hold is not known before. There may be
 * padding, they may be empty, or no data.
 */
static int receive_open_records(struct sock *sk, size_t limit)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT };
	int err = READ_ONCE(sk->sk_err), n;

	iov_iter_discard(&msg.msg_iter, READ, limit);
	n = receive_plain(sk, &msg, limit, MSG_PEEK | MSG_DONTWAIT);
	/* An error of the connection belongs to the next read. */
	if (n < 0 && n != -EAGAIN && n != -ENOMEM && !receive_is_control(n, -EIO))
		err = -n;
	if (err)
		cmpxchg(&sk->sk_err, 0, err);
	return n;
}

/*
 * TCP keeps an urgent byte back, and kTLS never gets past it. Between two records it is skipped, as TCP skips it for
 * a program that did not ask for it. Within a record it belongs to that: TLS has no other place for it. True if kTLS
 * can go on. The socket's lock is held.
 */
static bool receive_pass_urgent_byte(struct sock *sk)
{
	const struct tls_strparser *strp = &context_of(sk)->strp;
	struct tcp_sock *tp = tcp_sk(sk);
	u32 ahead = tp->urg_seq - tp->copied_seq;
	bool within;

	sock_owned_by_me(sk);
	if (!tp->urg_data || strp->msg_ready || !before(tp->urg_seq, tp->rcv_nxt))
		return false;
	if (strp->copy_mode)
		within = !ahead;
	else if (strp->stm.full_len)
		within = ahead < strp->stm.full_len;
	else	/* kTLS waits for a header, and for the nonce of TLS 1.2's GCM behind it. */
		within = ahead && ahead < tls_get_ctx(sk)->prot_info.prepend_size;
	if (ahead && !within)
		return false;		/* kTLS has not looked at what comes before it */
	if (!within && !sock_flag(sk, SOCK_URGINLINE))
		WRITE_ONCE(tp->copied_seq, tp->copied_seq + 1);
	WRITE_ONCE(tp->urg_data, 0);
	return true;
}

/* The socket's lock is held. */
static void socket_data_ready(struct sock *sk)
{
	struct ttls_socket *socket = ttls_socket_of(sk);

	sock_owned_by_me(sk);
	socket->data_ready(sk);
	if (unlikely(tcp_sk(sk)->urg_data) && receive_pass_urgent_byte(sk))
		socket->data_ready(sk);
}

/*
 * Whoever gives the socket's lock back may have brought kTLS up to an urgent byte: a reader who goes to sleep in the
 * middle of his read, or kTLS's worker, with what came while the lock was taken.
 */
static void socket_release_cb(struct sock *sk)
{
	if (unlikely(tcp_sk(sk)->urg_data) && receive_pass_urgent_byte(sk))
		ttls_socket_of(sk)->data_ready(sk);
	ttls_family_of(sk)->tls->release_cb(sk);
}

/*
 * How much a read of any length would give now. Less than that, but not less than the limit, if it is so much that
 * it should not be opened before it is read.
 */
static size_t receive_readable(struct sock *sk, size_t limit)
{
	struct ttls_socket *socket = ttls_socket_of(sk);

	while (!receive_is_over(socket)) {
		int n = receive_open_records(sk, limit);

		if (!n && receive_is_control_next(sk))
			continue;
		if (!receive_is_control(n, -EIO) || receive_control_record(sk, socket))
			break;
		/* Who waits for an edge does not read before he hears of the end. */
		if (receive_is_over(socket))
			context_of(sk)->saved_data_ready(sk);
	}
	return receive_is_over(socket) ? 0 : receive_opened(sk);
}

/* For programs. What is open does not count against the receive buffer any more: as much as that holds is enough. */
static int receive_told_readable(struct sock *sk)
{
	size_t sum = receive_readable(sk, READ_ONCE(sk->sk_rcvbuf));

	/*
	 * Who waits for an edge does not read beyond what he is told before: kTLS woke him already for the record that
	 * comes then.
	 */
	if (READ_ONCE(context_of(sk)->strp.msg_ready))
		set_bit(TTLS_WAKE_DUE, &ttls_socket_of(sk)->flags);
	return min_t(size_t, sum, INT_MAX);
}

static void receive_wake(struct sock *sk, struct ttls_socket *socket)
{
	if (test_bit(TTLS_WAKE_DUE, &socket->flags) && test_and_clear_bit(TTLS_WAKE_DUE, &socket->flags))
		context_of(sk)->saved_data_ready(sk);
}

/*
 * Data was read. What came behind it and is not data is dealt with now: the answer to a KeyUpdate does not wait for the
 * next read, and who waits for an edge had it before, with the data.
 */
static bool receive_follow(struct sock *sk, struct ttls_socket *socket)
{
	receive_wake(sk, socket);
	if (!ttls_key_update_pending(sk) && !receive_is_control_next(sk))
		return false;
	if (receive_control_record(sk, socket))
		return false;
	if (receive_is_over(socket))
		context_of(sk)->saved_data_ready(sk);
	return true;
}

static int receive(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
	struct ttls_socket *socket = ttls_socket_of(sk);
	size_t least = flags & MSG_WAITALL ? len : min_t(size_t, len, READ_ONCE(socket->lowat)), done = 0;
	bool followed;
	int n;

	while (!receive_is_over(socket)) {
		n = receive_plain(sk, msg, len - done, flags);
		if (receive_is_control(n, -EIO)) {
			n = receive_control_record(sk, socket);
			if (!n || n == -EAGAIN)
				continue;
		}
		/* Not the end, nor a read of nothing, but empty records before one that is not data. */
		if (!n && done < len && receive_is_control_next(sk))
			continue;
		if (n <= 0)
			return done ? done : n;
		done += n;
		if (flags & MSG_PEEK)
			return done;
		followed = receive_follow(sk, socket);
		/* kTLS has waited for all itself, as long as it may. */
		if (done >= least || (flags & MSG_WAITALL && !followed))
			return done;
	}
	return done ? done : receive_last_result(socket);
}

/* TCP_INQ: how much is left, in a control message. The end of the file counts as a byte. */
static void receive_tell_rest(struct sock *sk, struct msghdr *msg)
{
	int rest = receive_told_readable(sk);

	if (!rest && (receive_is_over(ttls_socket_of(sk)) || sk->sk_shutdown & RCV_SHUTDOWN))
		rest = 1;
	put_cmsg(msg, SOL_TCP, TCP_CM_INQ, sizeof(rest), &rest);
}

#ifdef HAVE_RECVMSG_ADDR_LEN
static int socket_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)
#else
static int socket_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags)
#endif
{
	int n;

	if (flags & MSG_ERRQUEUE)
#ifdef HAVE_RECVMSG_ADDR_LEN
		return ttls_family_of(sk)->tcp->recvmsg(sk, msg, len, flags, addr_len);
#else
		return ttls_family_of(sk)->tcp->recvmsg(sk, msg, len, flags);
#endif
	if (flags & MSG_OOB)
		return -EINVAL;		/* as where no urgent byte has come */
	n = receive(sk, msg, len, flags);
	if (n >= 0 && tcp_sk(sk)->recvmsg_inq)
		receive_tell_rest(sk, msg);
	return n;
}

static void receive_put_spliced(struct splice_pipe_desc *spd, unsigned int i)
{
	put_page(spd->pages[i]);
}

/* A page of data at most, copied. */
static ssize_t receive_splice_copy(struct sock *sk, struct pipe_inode_info *pipe, size_t len, unsigned int flags)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT);
	struct partial_page part = {};
	struct splice_pipe_desc spd = {
		.pages = &page, .partial = &part, .nr_pages = 1, .nr_pages_max = 1,
		.ops = &nosteal_pipe_buf_ops, .spd_release = receive_put_spliced,
	};
	struct msghdr msg = {};
	struct kvec vec;
	int n;

	if (!page)
		return -ENOMEM;
	vec = (struct kvec) { page_address(page), min_t(size_t, len, PAGE_SIZE) };
	iov_iter_kvec(&msg.msg_iter, READ, &vec, 1, vec.iov_len);
	n = receive(sk, &msg, vec.iov_len, flags & SPLICE_F_NONBLOCK ? MSG_DONTWAIT : 0);
	if (n <= 0) {
		put_page(page);
		return n;
	}
	part.len = n;
	return splice_to_pipe(pipe, &spd);
}

/* Buffers of a pipe that a record takes at most: its pages. */
#define RECORD_BUFFERS	(TLS_MAX_PAYLOAD_SIZE / PAGE_SIZE + 2)

static ssize_t socket_splice_read(struct socket *sock, loff_t *pos, struct pipe_inode_info *pipe, size_t len,
				  unsigned int flags)
{
	struct sock *sk = sock->sk;
	struct ttls_socket *socket = ttls_socket_of(sk);
	ssize_t n;
	int err;

	/* Of a socket. For kTLS only that of the pipe counts. */
	if (sock->file && sock->file->f_flags & O_NONBLOCK)
		flags |= SPLICE_F_NONBLOCK;
	/* Of a record that does not fit, kTLS up to Linux 6.12 loses the rest. */
	if (pipe->max_usage - pipe_occupancy(pipe->head, pipe->tail) < RECORD_BUFFERS)
		return receive_splice_copy(sk, pipe, len, flags);
	while (!receive_is_over(socket)) {
		n = ttls_family_of(sk)->tls_ops->splice_read(sock, pos, pipe, len, flags);
		if (receive_is_control(n, -EINVAL)) {
			err = receive_control_record(sk, socket);
			if (!err)
				continue;
			/* There is none: kTLS meant another thing. */
			return err == -EAGAIN ? n : err;
		}
		/* It takes an empty record for the end. */
		if (!n && (receive_is_opening(sk) || !(READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN)))
			continue;
		if (n > 0)
			receive_follow(sk, socket);
		return n;
	}
	return receive_last_result(socket);
}

/* Whether a read would say anything but EAGAIN. */
static bool receive_is_readable(struct sock *sk)
{
	struct ttls_socket *socket = ttls_socket_of(sk);
	int least = READ_ONCE(socket->lowat);

	if (receive_is_over(socket) || READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN || inet_sk_state_load(sk) == TCP_CLOSE)
		return true;
	/* A record may hold no data: a KeyUpdate, or nothing at all. */
	return receive_is_opening(sk) &&
	       (receive_readable(sk, least) >= least || receive_is_over(socket) || READ_ONCE(sk->sk_err));
}

/*
 * True if a read would not wait. TCP, and kTLS up to Linux 6.4, count a part of a record; kTLS counts records that
 * are not data as well, and does not know of an end before FIN.
 */
static __poll_t socket_poll(struct file *file, struct socket *sock, struct poll_table_struct *wait)
{
	struct sock *sk = sock->sk;
	__poll_t mask = ttls_family_of(sk)->tls_ops->poll(file, sock, wait);

	if (receive_is_readable(sk))
		mask |= EPOLLIN | EPOLLRDNORM;
	else
		mask &= ~(EPOLLIN | EPOLLRDNORM);
	if (receive_is_over(ttls_socket_of(sk)))
		mask |= EPOLLRDHUP;
	if (READ_ONCE(sk->sk_err))
		mask |= EPOLLERR;
	return mask;
}

#ifdef HAVE_IOCTL_KARG
static int socket_ioctl(struct sock *sk, int command, int *answer)
{
	if (command != SIOCINQ)
		return ttls_family_of(sk)->tls->ioctl(sk, command, answer);
	*answer = receive_told_readable(sk);
	return 0;
}
#else
static int socket_ioctl(struct sock *sk, int command, unsigned long answer)
{
	if (command != SIOCINQ)
		return ttls_family_of(sk)->tls->ioctl(sk, command, answer);
	return put_user(receive_told_readable(sk), (int __user *)answer);
}
#endif

/*
 * SO_RCVLOWAT. TCP would count ciphertext, and stay silent while there is less of that: it goes by one byte, and
 * waiting for more is done here. The socket's lock is held.
 */
static int socket_set_rcvlowat(struct sock *sk, int value)
{
	int err;

	sock_owned_by_me(sk);
	err = ttls_family_of(sk)->tls_ops->set_rcvlowat(sk, value);
	if (err)
		return err;
	WRITE_ONCE(ttls_socket_of(sk)->lowat, sk->sk_rcvlowat);
	WRITE_ONCE(sk->sk_rcvlowat, 1);
	/* Who waits for more than is asked for now looks again. */
	context_of(sk)->saved_data_ready(sk);
	return 0;
}

void ttls_receive_learn(struct proto *prot, struct proto_ops *ops)
{
	prot->recvmsg = socket_recvmsg;
	prot->release_cb = socket_release_cb;
	prot->ioctl = socket_ioctl;
	ops->splice_read = socket_splice_read;
	ops->poll = socket_poll;
	ops->set_rcvlowat = socket_set_rcvlowat;
}

/* When kTLS has the socket, whose lock is held. */
void ttls_receive_init(struct sock *sk, struct ttls_socket *socket)
{
	sock_owned_by_me(sk);
	write_lock_bh(&sk->sk_callback_lock);
	socket->data_ready = sk->sk_data_ready;
	sk->sk_data_ready = socket_data_ready;
	write_unlock_bh(&sk->sk_callback_lock);
}
