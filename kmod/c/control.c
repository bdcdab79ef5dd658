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
/* Bytes of all server names together: they are looked through at once. */
#define MAX_NAMES		SZ_1M
/* Most handshakes under way where a user namespace's administrator loaded the configuration. */
#define MAX_USER_PENDING	256
/* How often ticket keys are looked at: an epoch lasts an hour at least. */
#define TICKET_INTERVAL		(60 * HZ)

DEFINE_RWLOCK(ttls_ticket_lock);
static unsigned int net_id;
static struct genl_family family;

static unsigned int user_namespace_certificates;
module_param(user_namespace_certificates, uint, 0644);
MODULE_PARM_DESC(user_namespace_certificates,
		 "Most certificates that CAP_NET_ADMIN in another than the initial user namespace may load (0: none)");

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

static void site_advance_tickets(struct work_struct *work)
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

static struct ttls_bytes attribute_bytes(const struct nlattr *attr)
{
	struct ttls_bytes bytes = {};

	if (attr) {
		bytes.data = nla_data(attr);
		bytes.len = nla_len(attr);
	}
	return bytes;
}

static u32 attribute_number(const struct nlattr *attr, u32 otherwise)
{
	return attr ? nla_get_u32(attr) : otherwise;
}

/* Keys and secrets must not stay in the memory of the message. */
static void attributes_wipe(struct nlattr *attr)
{
	if (attr)
		memzero_explicit(nla_data(attr), nla_len(attr));
}

static int site_read_certificate(const struct nlattr *nest, struct ttls_certificate *certificate,
				 struct netlink_ext_ack *extack)
{
	struct nlattr *attrs[__TTLS_A_MAX];
	int err = nla_parse_nested(attrs, __TTLS_A_MAX - 1, nest, certificate_policy, extack);

	if (err)
		return err;
	certificate->chain = attribute_bytes(attrs[TTLS_A_CHAIN]);
	certificate->key = attribute_bytes(attrs[TTLS_A_KEY]);
	certificate->names = attribute_bytes(attrs[TTLS_A_NAMES]);
	certificate->ocsp = attribute_bytes(attrs[TTLS_A_OCSP]);
	certificate->key_encoding = attrs[TTLS_A_KEY_ENCODING] ? nla_get_u8(attrs[TTLS_A_KEY_ENCODING]) : 0;
	certificate->is_default = nla_get_flag(attrs[TTLS_A_DEFAULT]);
	return 0;
}

static void site_explain(struct netlink_ext_ack *extack, enum ttls_refusal refusal)
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
	case TTLS_MANY_NAMES:
		NL_SET_ERR_MSG(extack, "there are more than 16384 server names");
		break;
	default:
		NL_SET_ERR_MSG(extack, "out of memory");
	}
}

/* Keys are tried one in each call, so that others run between. */
static int site_build_parts(struct ttls_configuration *configuration)
{
	int result;

	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		result = ttls_call(TTLS_BUILD, configuration);
		cond_resched();
	} while (result == -EAGAIN);
	return result;
}

static int site_build(struct ttls_site *site, struct ttls_configuration *configuration,
		      struct netlink_ext_ack *extack)
{
	int result = ttls_call(TTLS_MEASURE, configuration);

	if (!result) {
		site->memory_size = configuration->memory_size;
		site->memory = __vmalloc(site->memory_size, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!site->memory)
			return -ENOMEM;
		configuration->memory = site->memory;
		result = site_build_parts(configuration);
	}
	if (result > 0) {
		site_explain(extack, result);
		return -EINVAL;
	}
	site->core = configuration->site;
	return result;
}

/* What may be read again of a certificate. */
static int site_list_certificate(struct sk_buff *listing, const struct ttls_certificate *certificate)
{
	struct nlattr *nest = nla_nest_start(listing, TTLS_A_CERTIFICATE);

	if (!nest || nla_put(listing, TTLS_A_NAMES, certificate->names.len, certificate->names.data) ||
	    (certificate->is_default && nla_put_flag(listing, TTLS_A_DEFAULT)))
		return -EMSGSIZE;
	nla_nest_end(listing, nest);
	return 0;
}

static int site_list(struct ttls_site *site, const struct ttls_configuration *configuration)
{
	size_t i, size = 256;

	for (i = 0; i < configuration->certificate_count; i++)
		size += configuration->certificates[i].names.len + 32;
	site->listing = alloc_skb(size, GFP_KERNEL_ACCOUNT);
	if (!site->listing)
		return -ENOMEM;
	for (i = 0; i < configuration->certificate_count; i++)
		if (site_list_certificate(site->listing, &configuration->certificates[i]))
			return -EMSGSIZE;
	if (nla_put_u32(site->listing, TTLS_A_FLAGS, configuration->flags) ||
	    nla_put_u32(site->listing, TTLS_A_TICKET_LIFETIME, configuration->ticket_lifetime) ||
	    nla_put_u32(site->listing, TTLS_A_HANDSHAKE_TIMEOUT, site->timeout) ||
	    nla_put_u32(site->listing, TTLS_A_MAX_PENDING, site->max_pending) ||
	    nla_put_u32(site->listing, TTLS_A_MAX_PENDING_LISTENER, site->max_pending_listener))
		return -EMSGSIZE;
	return 0;
}

static void site_replace(struct ttls_space *space, struct ttls_site *site)
{
	struct ttls_site *before;

	mutex_lock(&space->replacing);
	before = rcu_replace_pointer(space->site, site, lockdep_is_held(&space->replacing));
	mutex_unlock(&space->replacing);
	site_put_later(before);
}

/*
 * How many certificates the sender may load; none: that is not for it to do. A key costs the CPU some milliseconds, and
 * handshakes are computed by the kernel's own threads: so a user who makes itself an administrator, of a user
 * namespace, needs leave.
 */
static unsigned int control_allowance(struct sk_buff *skb, struct genl_info *info)
{
	unsigned int allowed = MAX_CERTIFICATES;

	if (!netlink_capable(skb, CAP_NET_ADMIN))
		allowed = min_t(unsigned int, READ_ONCE(user_namespace_certificates), MAX_CERTIFICATES);
	if (!allowed)
		NL_SET_ERR_MSG(info->extack, "CAP_NET_ADMIN in the initial user namespace is needed");
	return allowed;
}

/* Reads the message's certificates into an array, which the caller frees. */
static int site_read_certificates(struct ttls_configuration *configuration, struct genl_info *info,
				  unsigned int allowed)
{
	struct ttls_certificate *certificates;
	size_t count = 0, names = 0;
	struct nlattr *attr;
	int rest, err;

	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rest)
		count += nla_type(attr) == TTLS_A_CERTIFICATE;
	if (count > allowed) {
		NL_SET_ERR_MSG(info->extack, "more certificates than this sender may load");
		return -E2BIG;
	}
	certificates = kvcalloc(count, sizeof(*certificates), GFP_KERNEL_ACCOUNT);
	if (!certificates)
		return -ENOMEM;
	configuration->certificates = certificates;
	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rest) {
		struct ttls_certificate *next = &certificates[configuration->certificate_count];

		if (nla_type(attr) != TTLS_A_CERTIFICATE)
			continue;
		err = site_read_certificate(attr, next, info->extack);
		if (err)
			return err;
		names += next->names.len;
		configuration->certificate_count++;
	}
	if (names > MAX_NAMES) {
		NL_SET_ERR_MSG(info->extack, "the server names are longer than a megabyte together");
		return -E2BIG;
	}
	return 0;
}

static int control_configure(struct sk_buff *skb, struct genl_info *info)
{
	unsigned int allowed = control_allowance(skb, info);
	struct nlattr **attrs = info->attrs, *attr;
	struct ttls_configuration configuration = {
		.ticket_secret = attribute_bytes(attrs[TTLS_A_TICKET_SECRET]),
		.ticket_secret_before = attribute_bytes(attrs[TTLS_A_TICKET_SECRET_BEFORE]),
		.suites = attribute_bytes(attrs[TTLS_A_SUITES]),
		.groups = attribute_bytes(attrs[TTLS_A_GROUPS]),
		.alpn = attribute_bytes(attrs[TTLS_A_ALPN]),
		.now = now_ms(),
		.ticket_lifetime = attribute_number(attrs[TTLS_A_TICKET_LIFETIME], 43200),
		.tickets = attribute_number(attrs[TTLS_A_TICKETS], 2),
		.flags = attribute_number(attrs[TTLS_A_FLAGS], TTLS_TLS12 | TTLS_TLS13),
		.flight_size = TTLS_FLIGHT,
	};
	u32 max_pending = attribute_number(attrs[TTLS_A_MAX_PENDING], 8192);
	struct ttls_site *site = NULL;
	int rest, err = -EPERM;

	if (!allowed)
		goto out;
	err = -ENOMEM;
	site = kzalloc(sizeof(*site), GFP_KERNEL_ACCOUNT);
	if (!site)
		goto out;
	kref_init(&site->ref);
	if (!netlink_capable(skb, CAP_NET_ADMIN))
		max_pending = min(max_pending, (u32)MAX_USER_PENDING);
	site->timeout = attribute_number(attrs[TTLS_A_HANDSHAKE_TIMEOUT], 10000);
	site->max_pending = max_pending;
	/* Less than all, so that a listener under attack leaves something to others. */
	site->max_pending_listener = attribute_number(attrs[TTLS_A_MAX_PENDING_LISTENER], DIV_ROUND_UP(max_pending, 2));
	err = site_read_certificates(&configuration, info, allowed);
	if (!err)
		err = site_build(site, &configuration, info->extack);
	if (!err)
		err = site_list(site, &configuration);
	if (!err) {
		site_replace(space_of(genl_info_net(info)), site);
		site = NULL;
	}
out:
	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rest)
		attributes_wipe(attr);
	if (site)
		ttls_site_put(site);
	kvfree(configuration.certificates);
	return err;
}

static int control_remove(struct sk_buff *skb, struct genl_info *info)
{
	if (!control_allowance(skb, info))
		return -EPERM;
	site_replace(space_of(genl_info_net(info)), NULL);
	return 0;
}

static int control_reply(struct genl_info *info, u8 command, const void *data, int len, int type)
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

static int control_list(struct sk_buff *skb, struct genl_info *info)
{
	struct ttls_site *site = ttls_site_get(space_of(genl_info_net(info)));
	int err;

	if (!site) {
		NL_SET_ERR_MSG(info->extack, "no configuration is loaded in this network namespace");
		return -ENOKEY;
	}
	err = control_reply(info, TTLS_C_LIST, site->listing->data, site->listing->len, 0);
	ttls_site_put(site);
	return err;
}

static int control_statistics(struct sk_buff *skb, struct genl_info *info)
{
	struct ttls_space *space = space_of(genl_info_net(info));
	u64 counters[TTLS_COUNTERS];
	int i;

	for (i = 0; i < TTLS_COUNTERS; i++)
		counters[i] = atomic_long_read(&space->counters[i]);
	return control_reply(info, TTLS_C_STATISTICS, counters, sizeof(counters), TTLS_A_COUNTERS);
}

static const struct genl_small_ops operations[] = {
	{ .cmd = TTLS_C_CONFIGURE, .doit = control_configure, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = TTLS_C_REMOVE, .doit = control_remove, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = TTLS_C_LIST, .doit = control_list },
	{ .cmd = TTLS_C_STATISTICS, .doit = control_statistics },
};

/* Whoever asks for the family loads the module. */
MODULE_ALIAS_GENL_FAMILY(TTLS_FAMILY);

static struct genl_family family = {
	.name = TTLS_FAMILY,
	.version = TTLS_FAMILY_VERSION,
	.maxattr = __TTLS_A_MAX - 1,
	.policy = policy,
	.netnsok = true,
	/* Whoever sends keys does not keep other families' users waiting. */
	.parallel_ops = true,
	.module = THIS_MODULE,
	.small_ops = operations,
	.n_small_ops = ARRAY_SIZE(operations),
	.resv_start_op = TTLS_C_STATISTICS + 1,
};

static int __net_init control_net_begin(struct net *net)
{
	struct ttls_net *ours = net_generic(net, net_id);

	ours->space = kzalloc(sizeof(*ours->space), GFP_KERNEL);
	if (!ours->space)
		return -ENOMEM;
	kref_init(&ours->space->ref);
	mutex_init(&ours->space->replacing);
	INIT_DELAYED_WORK(&ours->space->tickets, site_advance_tickets);
	queue_delayed_work(ttls_wq, &ours->space->tickets, TICKET_INTERVAL);
	return 0;
}

static void __net_exit control_net_end(struct net *net)
{
	struct ttls_space *space = space_of(net);

	cancel_delayed_work_sync(&space->tickets);
	site_put_later(rcu_replace_pointer(space->site, NULL, true));
	ttls_space_put(space);
}

static struct pernet_operations net_operations = {
	.init = control_net_begin,
	.exit = control_net_end,
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
