/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Messages to the module's generic-netlink family, for the guest's programs. */
#ifndef TTLS_NETLINK_H
#define TTLS_NETLINK_H

#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include "../c/uapi.h"
#include "guest.h"

/* The module's generic-netlink family. */
static int channel = -1;
static unsigned short family = GENL_ID_CTRL;
static unsigned char message[256 * 1024];
static unsigned int message_len;

static inline void *put(int type, const void *data, unsigned int len)
{
	struct nlattr *attr = (void *)(message + message_len);

	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	if (data)
		memcpy(attr + 1, data, len);
	message_len += NLA_ALIGN(attr->nla_len);
	return attr;
}

static inline void begin(int command)
{
	struct genlmsghdr *header = (void *)(message + NLMSG_HDRLEN);

	memset(message, 0, sizeof(message));
	header->cmd = command;
	header->version = 1;
	message_len = NLMSG_HDRLEN + GENL_HDRLEN;
}

/* Sends the message and waits for its acknowledgement; 0, or an error number below it. */
static inline int command(void)
{
	static unsigned char answer[65536];
	struct nlmsghdr *header = (void *)message;
	int len;

	header->nlmsg_len = message_len;
	header->nlmsg_type = family;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	if (send(channel, message, message_len, 0) < 0)
		return -errno;
	while ((len = recv(channel, answer, sizeof(answer), 0)) > 0) {
		header = (void *)answer;
		if (header->nlmsg_type == NLMSG_ERROR)
			return ((struct nlmsgerr *)NLMSG_DATA(header))->error;
		if (family == GENL_ID_CTRL) {
			struct nlattr *attr = (void *)(answer + NLMSG_HDRLEN + GENL_HDRLEN);

			while ((unsigned char *)attr < answer + len && attr->nla_type != CTRL_ATTR_FAMILY_ID)
				attr = (void *)((unsigned char *)attr + NLA_ALIGN(attr->nla_len));
			memcpy(&family, attr + 1, sizeof(family));
			return 0;
		}
	}
	return -errno;
}

/* A new socket, without answers of the command before. */
static inline void open_channel(void)
{
	struct timeval patience = { .tv_sec = 5 };

	close(channel);
	channel = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	setsockopt(channel, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

static inline unsigned int read_file(const char *name, unsigned char *to, unsigned int size)
{
	int f = open(name, O_RDONLY), n = read(f, to, size);

	if (n <= 0) {
		perror(name);
		exit(1);
	}
	close(f);
	return n;
}

static inline int find_family(void)
{
	open_channel();
	begin(CTRL_CMD_GETFAMILY);
	put(CTRL_ATTR_FAMILY_NAME, TTLS_FAMILY, sizeof(TTLS_FAMILY));
	return command();
}

#endif
