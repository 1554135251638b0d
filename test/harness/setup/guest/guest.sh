#!/bin/bash
# The first process of the guest. Its root is the machine's own, through hostfs;
# what it mounts is its own. $GUEST is the directory of package guest.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
modules=/usr/lib/uml/modules/$(uname -r)

# load MODULE: insert a kernel module, behind those that modules.dep(5) names.
load() {
  local all=("$(sed -n "s|^\(kernel/.*/$1\.ko\): *|\1 |p" "$modules/modules.dep")")
  read -ra all <<<"${all[0]}"
  for ((i = ${#all[@]} - 1; i >= 0; i--)); do
    insmod "$modules/${all[i]}" 2>/dev/null # a module that is already loaded is no error
  done
}

insmod() { busybox insmod "$@"; }

# export_nfs: serve /mnt/export to 127.0.0.1 by the kernel's NFS server. The
# kernel gets mountd's answers beforehand: the client,
# the export (rw, root_squash, no_subtree_check, fsid=0: 0x2404 of
# linux/nfsd/export.h), and the directory that file system 0 is.
export_nfs() {
  load nfsd
  mkdir -p /mnt/export /mnt/recovery
  mount -t tmpfs -o mode=1777 export /mnt/export
  mount -t nfsd nfsd /proc/fs/nfsd
  echo /mnt/recovery >/proc/fs/nfsd/nfsv4recoverydir
  echo 'nfsd 127.0.0.1 2147483647 client' >/proc/net/rpc/auth.unix.ip/channel
  echo 'client /mnt/export 2147483647 9220 65534 65534 0' >/proc/net/rpc/nfsd.export/channel
  echo 'client 1 \x00000000 2147483647 /mnt/export' >/proc/net/rpc/nfsd.fh/channel
  echo -2 -3 +4 >/proc/fs/nfsd/versions
  echo 8 >/proc/fs/nfsd/threads
  echo Y >/proc/fs/nfsd/v4_end_grace
}

cd "$GUEST" || exit
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for dir in /run /mnt; do mount -t tmpfs -o mode=755 tmpfs $dir; done
mount -t tmpfs -o mode=1777 tmpfs /tmp
ln -s /proc/self/fd /dev/fd
busybox ip link set lo up
{
  export_nfs
  load nfsv4
  timeout "$(cat limit)" ./command </dev/null # a guest whose caller was killed ends too
  echo $? >status
} >output 2>&1
sync
echo o >/proc/sysrq-trigger
sleep 60
