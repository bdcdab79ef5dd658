// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Loading and unloading. */
#include <linux/kmod.h>
#include <linux/module.h>
#include "ttls.h"

/* Ends of connections, and ticket keys: what must not run in a softirq. */
struct workqueue_struct *ttls_wq;

static int __init init(void)
{
	int err;

	if (IS_ENABLED(CONFIG_PREEMPT_RT) || !IS_ENABLED(CONFIG_MPTCP)) {
		pr_err("ttls: this kernel is not supported: it has PREEMPT_RT, or lacks MPTCP\n");
		return -EOPNOTSUPP;
	}
	request_module("tls");
	err = ttls_core_init();
	if (err)
		return err;
	err = ttls_child_init();
	if (err)
		goto core;
	err = ttls_worker_init();
	if (err)
		goto child;
	err = -ENOMEM;
	ttls_wq = alloc_workqueue("ttls", WQ_UNBOUND, 0);
	if (!ttls_wq)
		goto worker;
	err = ttls_control_init();
	if (err)
		goto wq;
	err = tcp_register_ulp(&ttls_ulp_ops);
	if (!err)
		return 0;
	ttls_control_exit();
wq:
	destroy_workqueue(ttls_wq);
worker:
	ttls_worker_exit();
child:
	ttls_child_exit();
core:
	ttls_core_exit();
	return err;
}

/* Only without sockets: each holds a reference. Timers and callbacks of closed ones may still be under way. */
static void __exit leave(void)
{
	tcp_unregister_ulp(&ttls_ulp_ops);
	flush_workqueue(ttls_wq);
	ttls_control_exit();
	ttls_worker_exit();
	destroy_workqueue(ttls_wq);
	rcu_barrier();
	ttls_socket_exit();
	ttls_child_exit();
	ttls_core_exit();
}

module_init(init);
module_exit(leave);
MODULE_DESCRIPTION("TLS handshakes in the kernel, for listening sockets");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_ALIAS_TCP_ULP("ttls");
MODULE_SOFTDEP("pre: tls");
