/* A file system that replies to INIT and to no other request, like a file server that
 * does not respond: hangfs DIRECTORY UID. Root mounts it for the account, as
 * fusermount3(1) does, and the account serves it until its standard input ends.
 * It prints "ready" when it is mounted, and "asked" when a process waits for it.
 * A process whose request was read and has no reply cannot be killed
 * (request_wait_answer in the kernel's fs/fuse/dev.c).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char request[1 << 20];
	char options[128];
	int asked = 0, uid = argc == 3 ? atoi(argv[2]) : 0, fd = open("/dev/fuse", O_RDWR);

	if (uid <= 0 || fd < 0)
		return 1;
	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%d,group_id=%d", fd, uid, uid);
	if (mount("hangfs", argv[1], "fuse.hangfs", MS_NOSUID | MS_NODEV, options) != 0) {
		perror("mount");
		return 1;
	}
	if (setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)
		return 1;
	for (;;) {
		struct pollfd ready[] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
		struct fuse_in_header *in = (void *)request;
		struct {
			struct fuse_out_header head;
			struct fuse_init_out init;
		} out = {{.len = sizeof out}, {.major = 7, .minor = 31, .max_write = 65536}};

		if (poll(ready, 2, -1) < 0 || ready[1].revents != 0)
			return 0;
		if (read(fd, request, sizeof request) < 0)
			continue;
		if (in->opcode != FUSE_INIT) {
			if (!asked++)
				puts("asked");
			fflush(stdout);
			continue;
		}
		out.head.unique = in->unique;
		if (write(fd, &out, sizeof out) < 0)
			return 1;
		puts("ready");
		fflush(stdout);
	}
}
