/* Tries to control processes of its own account by every way that does not need their
 * cooperation.
 *
 *   attack           each jacamar, jacamar-auth and jacamar-noauth once; prints the
 *                    result of each way
 *   attack COUNT     every jacamar as soon as it starts, until so many were attacked or
 *                    standard input ends; prints only what succeeds
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int quiet, won;

/* became reports whether a process that could be reached is another program by now:
* its name changes shortly after its memory. */
static int became(int pid) {
	char path[64], target[512];
	const char *base;
	ssize_t n;
	snprintf(path, sizeof path, "/proc/%d/exe", pid);
	n = readlink(path, target, sizeof target - 1);
	if (n < 0)
		return 0;
	target[n] = 0;
	base = strrchr(target, '/');
	return quiet ? !base || strcmp(base, "/jacamar") : !base || strncmp(base, "/jacamar", 8);
}

static void report(int pid, const char *way, long result) {
	int error = errno;
	if (result >= 0 && became(pid))
		return;
	if (result >= 0)
		won++;
	if (result >= 0 || !quiet)
		printf("%d %s: %s\n", pid, way, result >= 0 ? "WON" : strerror(error));
	fflush(stdout);
}

static void ptraced(int pid, const char *way, int request) {
	int status;
	long result = ptrace(request, pid, 0, 0);
	report(pid, way, result);
	if (result < 0)
		return;
	if (request == PTRACE_SEIZE)
		ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	waitpid(pid, &status, __WALL);
	ptrace(PTRACE_DETACH, pid, 0, 0);
}

static void opened(int pid, const char *name, int flags) {
	char path[64];
	int fd;
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
	report(pid, name, fd);
	if (fd >= 0)
		close(fd);
}

/* contents are of memory, which an ended process has none of: its file opens. */
static void contents(int pid, const char *name, int flags, off_t offset) {
	char path[64], byte;
	int fd;
	ssize_t n;
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0) {
		report(pid, name, fd);
		return;
	}
	n = pread(fd, &byte, 1, offset);
	if (n == 0)
		errno = ESRCH;
	report(pid, name, n > 0 ? n : -1);
	close(fd);
}

static void linked(int pid, const char *name) {
	char path[64], target[256];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	report(pid, name, readlink(path, target, sizeof target));
}

/* A descriptor that was got is closed: it may be a pipe whose end a runner awaits. */
static void descriptors(int pid) {
	char way[32];
	int fd, got, pidfd = syscall(SYS_pidfd_open, pid, 0);
	for (fd = 0; fd < 8; fd++) {
		snprintf(way, sizeof way, "pidfd_getfd %d", fd);
		got = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
		report(pid, way, got);
		if (got >= 0)
			close(got);
	}
	close(pidfd);
}

static void memory(int pid) {
	char byte = 0;
	struct iovec mine = {&byte, 1}, theirs = {(void *)0x400000, 1};
	report(pid, "process_vm_readv", process_vm_readv(pid, &mine, 1, &theirs, 1, 0));
	report(pid, "process_vm_writev", process_vm_writev(pid, &mine, 1, &theirs, 1, 0));
}

static void attack(int pid) {
	void *head;
	size_t size;
	if (!quiet) {
		/* A shell that is attached to while it is executed can stay stopped. */
		ptraced(pid, "PTRACE_ATTACH", PTRACE_ATTACH);
		ptraced(pid, "PTRACE_SEIZE", PTRACE_SEIZE);
	}
	descriptors(pid);
	memory(pid);
	contents(pid, "mem", O_RDWR, 0x400000);
	contents(pid, "environ", O_RDONLY, 0);
	contents(pid, "maps", O_RDONLY, 0);
	opened(pid, "fd/1", O_RDWR);
	opened(pid, "fd/1", O_WRONLY);
	opened(pid, "fd/3", O_RDWR);
	opened(pid, "exe", O_RDONLY);
	opened(pid, "cwd", O_RDONLY);
	opened(pid, "root", O_RDONLY);
	opened(pid, "coredump_filter", O_WRONLY);
	opened(pid, "loginuid", O_WRONLY);
	opened(pid, "oom_score_adj", O_WRONLY);
	linked(pid, "exe");
	linked(pid, "fd/1");
	linked(pid, "ns/user");
	if (quiet)
		return;
	report(pid, "kcmp", syscall(SYS_kcmp, pid, getpid(), 2 /* KCMP_FILES */, 0, 0));
	report(pid, "get_robust_list", syscall(SYS_get_robust_list, pid, &head, &size));
	report(pid, "move_pages", syscall(SYS_move_pages, pid, 0UL, 0, 0, 0, 0));
}

/* named reports whether to attack a process of this account. */
static int named(int pid) {
	char path[64], comm[32] = "", line[256];
	int uid = -1;
	FILE *f;
	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	if (!(f = fopen(path, "r")))
		return 0;
	if (!fgets(comm, sizeof comm, f))
		comm[0] = 0;
	fclose(f);
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	if (quiet ? strcmp(comm, "jacamar\n") : strncmp(comm, "jacamar", 7))
		return 0;
	if (!(f = fopen(path, "r")))
		return 0;
	while (fgets(line, sizeof line, f))
		sscanf(line, "Uid: %d", &uid);
	fclose(f);
	return uid == (int)getuid();
}

static int all(void) {
	int pid, found = 0;
	struct dirent *e;
	DIR *proc = opendir("/proc");
	while ((e = readdir(proc))) {
		pid = atoi(e->d_name);
		if (pid > 0 && pid != getpid() && named(pid)) {
			found++;
			attack(pid);
		}
	}
	closedir(proc);
	return found;
}

/* ended reports whether standard input has ended. */
static int ended(void) {
	struct pollfd input = {0, POLLIN, 0};
	return poll(&input, 1, 0) > 0;
}

int main(int argc, char **argv) {
	int found = 0;
	if (argc < 2) {
		found = all();
	} else {
		quiet = 1;
		printf("watching\n");
		fflush(stdout);
		while (found < atoi(argv[1]) && !ended())
			found += all();
	}
	printf("attacked %d, won %d\n", found, won);
	return 0;
}
