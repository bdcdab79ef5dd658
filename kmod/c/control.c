// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Configuration by generic netlink, for each network namespace. Keys go in and never come out.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <net/genetlink.h>
#include <net/netns/generic.h>
#include "ttls.h"

#define MAX_CERTIFICATES	1024
/* How often ticket keys are looked at: an epoch lasts an hour at least. */
#define TICKET_INTERVAL		(60 * HZ)

DEFINE_RWLOCK(ttls_ticket_lock);
static unsigned int net_id;
static struct genl_family family;

struct ttls_net {
	struct ttls_space *space;
};

static u64 now_ms(void)
{
	return div_u64(ktime_get_real_ns(), NSEC_PER_MSEC);
}

static void space_free(struct kref *ref)
{
	kfree(container_of(ref, struct ttls_space, ref));
}

void ttls_space_put(struct ttls_space *space)
{
	kref_put(&space->ref, space_free);
}

static struct ttls_space *space_of(struct net *net)
{
	return ((struct ttls_net *)net_generic(net, net_id))->space;
}

struct ttls_space *ttls_space_get(struct net *net)
{
	struct ttls_space *space = space_of(net);

	kref_get(&space->ref);
	return space;
}

static void site_free(struct kref *ref)
{
	struct ttls_site *site = container_of(ref, struct ttls_site, ref);

	if (site->memory) {
		memzero_explicit(site->memory, site->memory_size);
		vfree(site->memory);
	}
	kfree_skb(site->listing);
	kfree(site);
}

void ttls_site_put(struct ttls_site *site)
{
	kref_put(&site->ref, site_free);
}

struct ttls_site *ttls_site_get(struct ttls_space *space)
{
	struct ttls_site *site;

	rcu_read_lock();
	do {
		site = rcu_dereference(space->site);
	} while (site && !kref_get_unless_zero(&site->ref));
	rcu_read_unlock();
	return site;
}

static void site_put_later(struct ttls_site *site)
{
	if (!site)
		return;
	/* ttls_site_get() may be looking at it. */
	synchronize_rcu();
	ttls_site_put(site);
}

static void advance_tickets(struct work_struct *work)
{
	struct ttls_space *space = container_of(to_delayed_work(work), struct ttls_space, tickets);
	struct ttls_site *site = ttls_site_get(space);

	if (site) {
		struct ttls_advance advance = { .site = site->core, .now = now_ms() };

		write_lock_bh(&ttls_ticket_lock);
		ttls_call(TTLS_ADVANCE, &advance);
		write_unlock_bh(&ttls_ticket_lock);
		ttls_site_put(site);
	}
	queue_delayed_work(ttls_wq, &space->tickets, TICKET_INTERVAL);
}

static const struct nla_policy certificate_policy[__TTLS_A_MAX] = {
	[TTLS_A_CHAIN] = { .type = NLA_BINARY },
	[TTLS_A_KEY] = { .type = NLA_BINARY },
	[TTLS_A_KEY_ENCODING] = { .type = NLA_U8 },
	[TTLS_A_NAMES] = { .type = NLA_BINARY },
	[TTLS_A_OCSP] = { .type = NLA_BINARY },
	[TTLS_A_DEFAULT] = { .type = NLA_FLAG },
};

static const struct nla_policy policy[__TTLS_A_MAX] = {
	[TTLS_A_CERTIFICATE] = NLA_POLICY_NESTED(certificate_policy),
	[TTLS_A_TICKET_SECRET] = { .type = NLA_BINARY, .len = 1024 },
	[TTLS_A_TICKET_SECRET_BEFORE] = { .type = NLA_BINARY, .len = 1024 },
	[TTLS_A_TICKET_LIFETIME] = { .type = NLA_U32 },
	[TTLS_A_TICKETS] = { .type = NLA_U32 },
	[TTLS_A_FLAGS] = { .type = NLA_U32 },
	[TTLS_A_SUITES] = { .type = NLA_BINARY, .len = 64 },
	[TTLS_A_GROUPS] = { .type = NLA_BINARY, .len = 64 },
	[TTLS_A_ALPN] = { .type = NLA_BINARY, .len = 512 },
	[TTLS_A_HANDSHAKE_TIMEOUT] = NLA_POLICY_MIN(NLA_U32, 1),
	[TTLS_A_MAX_PENDING] = NLA_POLICY_MIN(NLA_U32, 1),
	[TTLS_A_MAX_PENDING_LISTENER] = NLA_POLICY_MIN(NLA_U32, 1),
};

static struct ttls_bytes bytes_of(const struct nlattr *attr)
{
	struct ttls_bytes bytes = {};

	if (attr) {
		bytes.data = nla_data(attr);
		bytes.len = nla_len(attr);
	}
	return bytes;
}

static u32 number(const struct nlattr *attr, u32 otherwise)
{
	return attr ? nla_get_u32(attr) : otherwise;
}

/* Keys and secrets must not stay in the memory of the message. */
static void wipe(struct nlattr *attr)
{
	if (attr)
		memzero_explicit(nla_data(attr), nla_len(attr));
}

static int read_certificate(const struct nlattr *nest, struct ttls_certificate *certificate,
			    struct netlink_ext_ack *extack)
{
	struct nlattr *attrs[__TTLS_A_MAX];
	int err = nla_parse_nested(attrs, __TTLS_A_MAX - 1, nest, certificate_policy, extack);

	if (err)
		return err;
	certificate->chain = bytes_of(attrs[TTLS_A_CHAIN]);
	certificate->key = bytes_of(attrs[TTLS_A_KEY]);
	certificate->names = bytes_of(attrs[TTLS_A_NAMES]);
	certificate->ocsp = bytes_of(attrs[TTLS_A_OCSP]);
	certificate->key_encoding = attrs[TTLS_A_KEY_ENCODING] ? nla_get_u8(attrs[TTLS_A_KEY_ENCODING]) : 0;
	certificate->is_default = nla_get_flag(attrs[TTLS_A_DEFAULT]);
	return 0;
}

static void explain(struct netlink_ext_ack *extack, enum ttls_refusal refusal)
{
	switch (refusal) {
	case TTLS_NO_CERTIFICATE:
		NL_SET_ERR_MSG(extack, "no certificate: at least one is needed");
		break;
	case TTLS_BAD_KEY:
		NL_SET_ERR_MSG(extack, "a private key is damaged, or not ECDSA P-256 or RSA of 2048 to 4096 bits");
		break;
	case TTLS_BAD_CHAIN:
		NL_SET_ERR_MSG(extack, "a certificate chain is empty or damaged");
		break;
	case TTLS_BAD_NAME:
		NL_SET_ERR_MSG(extack, "a server name is longer than 255 bytes or not in lower case");
		break;
	case TTLS_BAD_TICKET_SECRET:
		NL_SET_ERR_MSG(extack, "the ticket secret is shorter than 32 bytes");
		break;
	case TTLS_BAD_POLICY:
		NL_SET_ERR_MSG(extack, "versions, suites, groups, ALPN or tickets: unknown values, or none left");
		break;
	case TTLS_LONG_FLIGHT:
		NL_SET_ERR_MSG(extack, "a certificate chain with its OCSP response is too long for a flight of 16 KiB: leave the root certificate out");
		break;
	default:
		NL_SET_ERR_MSG(extack, "out of memory");
	}
}

static int build_site(struct ttls_site *site, struct ttls_configuration *configuration,
		      struct netlink_ext_ack *extack)
{
	int result = ttls_call(TTLS_MEASURE, configuration);

	if (result)
		return result;
	site->memory_size = configuration->memory_size;
	site->memory = vzalloc(site->memory_size);
	if (!site->memory)
		return -ENOMEM;
	configuration->memory = site->memory;
	result = ttls_call(TTLS_BUILD, configuration);
	if (result > 0) {
		explain(extack, result);
		return -EINVAL;
	}
	site->core = configuration->site;
	return result;
}

/* What may be read again of a certificate. */
static int list_certificate(struct sk_buff *listing, const struct ttls_certificate *certificate)
{
	struct nlattr *nest = nla_nest_start(listing, TTLS_A_CERTIFICATE);

	if (!nest || nla_put(listing, TTLS_A_NAMES, certificate->names.len, certificate->names.data) ||
	    (certificate->is_default && nla_put_flag(listing, TTLS_A_DEFAULT)))
		return -EMSGSIZE;
	nla_nest_end(listing, nest);
	return 0;
}

static int list_site(struct ttls_site *site, const struct ttls_configuration *configuration)
{
	size_t i, size = 256;

	for (i = 0; i < configuration->certificate_count; i++)
		size += configuration->certificates[i].names.len + 32;
	site->listing = alloc_skb(size, GFP_KERNEL);
	if (!site->listing)
		return -ENOMEM;
	for (i = 0; i < configuration->certificate_count; i++)
		if (list_certificate(site->listing, &configuration->certificates[i]))
			return -EMSGSIZE;
	if (nla_put_u32(site->listing, TTLS_A_FLAGS, configuration->flags) ||
	    nla_put_u32(site->listing, TTLS_A_TICKET_LIFETIME, configuration->ticket_lifetime) ||
	    nla_put_u32(site->listing, TTLS_A_HANDSHAKE_TIMEOUT, site->timeout) ||
	    nla_put_u32(site->listing, TTLS_A_MAX_PENDING, site->max_pending) ||
	    nla_put_u32(site->listing, TTLS_A_MAX_PENDING_LISTENER, site->max_pending_listener))
		return -EMSGSIZE;
	return 0;
}

static void replace_site(struct ttls_space *space, struct ttls_site *site)
{
	/* Configuration commands are serialized by generic netlink. */
	site_put_later(rcu_replace_pointer(space->site, site, true));
}

static int configure(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr **attrs = info->attrs, *attr;
	struct ttls_configuration configuration = {
		.ticket_secret = bytes_of(attrs[TTLS_A_TICKET_SECRET]),
		.ticket_secret_before = bytes_of(attrs[TTLS_A_TICKET_SECRET_BEFORE]),
		.suites = bytes_of(attrs[TTLS_A_SUITES]),
		.groups = bytes_of(attrs[TTLS_A_GROUPS]),
		.alpn = bytes_of(attrs[TTLS_A_ALPN]),
		.now = now_ms(),
		.ticket_lifetime = number(attrs[TTLS_A_TICKET_LIFETIME], 43200),
		.tickets = number(attrs[TTLS_A_TICKETS], 2),
		.flags = number(attrs[TTLS_A_FLAGS], TTLS_TLS12 | TTLS_TLS13),
		.flight_size = TTLS_FLIGHT,
	};
	struct ttls_certificate *certificates = NULL;
	struct ttls_site *site;
	size_t count = 0;
	int rest, err;

	certificates = kvcalloc(MAX_CERTIFICATES, sizeof(*certificates), GFP_KERNEL);
	site = kzalloc(sizeof(*site), GFP_KERNEL);
	err = -ENOMEM;
	if (!site)
		goto out;
	kref_init(&site->ref);
	if (!certificates)
		goto out;
	site->timeout = number(attrs[TTLS_A_HANDSHAKE_TIMEOUT], 10000);
	site->max_pending = number(attrs[TTLS_A_MAX_PENDING], 8192);
	site->max_pending_listener = number(attrs[TTLS_A_MAX_PENDING_LISTENER], 8192);
	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rest) {
		if (nla_type(attr) != TTLS_A_CERTIFICATE)
			continue;
		err = -E2BIG;
		if (count == MAX_CERTIFICATES)
			goto out;
		err = read_certificate(attr, &certificates[count++], info->extack);
		if (err)
			goto out;
	}
	configuration.certificates = certificates;
	configuration.certificate_count = count;
	site->certificate_count = count;
	err = build_site(site, &configuration, info->extack);
	if (!err)
		err = list_site(site, &configuration);
	if (!err) {
		replace_site(space_of(genl_info_net(info)), site);
		site = NULL;
	}
out:
	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rest)
		wipe(attr);
	if (site)
		ttls_site_put(site);
	kvfree(certificates);
	return err;
}

static int remove(struct sk_buff *skb, struct genl_info *info)
{
	replace_site(space_of(genl_info_net(info)), NULL);
	return 0;
}

static int reply(struct genl_info *info, u8 command, const void *data, int len, int type)
{
	struct sk_buff *skb = genlmsg_new(len + 64, GFP_KERNEL);
	void *header;

	if (!skb)
		return -ENOMEM;
	header = genlmsg_put_reply(skb, info, &family, 0, command);
	if (!header || (type ? nla_put(skb, type, len, data) : nla_append(skb, len, data))) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, header);
	return genlmsg_reply(skb, info);
}

static int list(struct sk_buff *skb, struct genl_info *info)
{
	struct ttls_site *site = ttls_site_get(space_of(genl_info_net(info)));
	int err;

	if (!site) {
		NL_SET_ERR_MSG(info->extack, "no configuration is loaded in this network namespace");
		return -ENOKEY;
	}
	err = reply(info, TTLS_C_LIST, site->listing->data, site->listing->len, 0);
	ttls_site_put(site);
	return err;
}

static int statistics(struct sk_buff *skb, struct genl_info *info)
{
	struct ttls_space *space = space_of(genl_info_net(info));
	u64 counters[TTLS_COUNTERS];
	int i;

	for (i = 0; i < TTLS_COUNTERS; i++)
		counters[i] = atomic_long_read(&space->counters[i]);
	return reply(info, TTLS_C_STATISTICS, counters, sizeof(counters), TTLS_A_COUNTERS);
}

static const struct genl_small_ops operations[] = {
	{ .cmd = TTLS_C_CONFIGURE, .doit = configure, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = TTLS_C_REMOVE, .doit = remove, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = TTLS_C_LIST, .doit = list },
	{ .cmd = TTLS_C_STATISTICS, .doit = statistics },
};

/* Whoever asks for the family loads the module. */
MODULE_ALIAS_GENL_FAMILY(TTLS_FAMILY);

static struct genl_family family = {
	.name = TTLS_FAMILY,
	.version = TTLS_FAMILY_VERSION,
	.maxattr = __TTLS_A_MAX - 1,
	.policy = policy,
	.netnsok = true,
	.module = THIS_MODULE,
	.small_ops = operations,
	.n_small_ops = ARRAY_SIZE(operations),
	.resv_start_op = TTLS_C_STATISTICS + 1,
};

static int __net_init net_begin(struct net *net)
{
	struct ttls_net *ours = net_generic(net, net_id);

	ours->space = kzalloc(sizeof(*ours->space), GFP_KERNEL);
	if (!ours->space)
		return -ENOMEM;
	kref_init(&ours->space->ref);
	INIT_DELAYED_WORK(&ours->space->tickets, advance_tickets);
	queue_delayed_work(ttls_wq, &ours->space->tickets, TICKET_INTERVAL);
	return 0;
}

static void __net_exit net_end(struct net *net)
{
	struct ttls_space *space = space_of(net);

	cancel_delayed_work_sync(&space->tickets);
	site_put_later(rcu_replace_pointer(space->site, NULL, true));
	ttls_space_put(space);
}

static struct pernet_operations net_operations = {
	.init = net_begin,
	.exit = net_end,
	.id = &net_id,
	.size = sizeof(struct ttls_net),
};

int ttls_control_init(void)
{
	int err = register_pernet_subsys(&net_operations);

	if (err)
		return err;
	err = genl_register_family(&family);
	if (err)
		unregister_pernet_subsys(&net_operations);
	return err;
}

void ttls_control_exit(void)
{
	genl_unregister_family(&family);
	unregister_pernet_subsys(&net_operations);
}
