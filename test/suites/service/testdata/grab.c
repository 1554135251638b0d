/*
 * Starts a program and, while it runs, tries to control it and each process that it
 * starts, by all that one process can do to another of its account.
 * Prints a line for each kind of attempt:
 *
 *     NAME UID ACTION DONE DENIED
 *
 * NAME and UID are those of the process that it was tried on. A process that ended
 * meanwhile does not count.
 *
 *     grab PROGRAM [ARGUMENT...]
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

struct row { char name[32]; long uid; const char *action; long done, denied; };
static struct row rows[512];
static int count;

static void note(const char *name, long uid, const char *action, int failed) {
	int e = errno, i;
	if (failed && e != EPERM && e != EACCES)
		return;
	for (i = 0; i < count; i++)
		if (rows[i].uid == uid && !strcmp(rows[i].name, name) && !strcmp(rows[i].action, action))
			break;
	if (i == count) {
		if (count == 512)
			exit(3);
		snprintf(rows[i].name, sizeof rows[i].name, "%s", name);
		rows[i].uid = uid;
		rows[i].action = action;
		count++;
	}
	if (failed)
		rows[i].denied++;
	else
		rows[i].done++;
}

static int name_of(int pid, char *name, int size) {
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	int n = read(fd, name, size - 1);
	close(fd);
	if (n <= 0)
		return -1;
	name[n] = 0;
	name[strcspn(name, "\n")] = 0;
	for (char *c = name; *c; c++)
		if (*c == ' ')
			*c = '_';
	return 0;
}

/* The owner of status, unlike that of the directory, is the process's uid. */
static long uid_of(int pid) {
	char path[64], line[256];
	long uid = -1;
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "Uid: %ld", &uid) == 1)
			break;
	if (f)
		fclose(f);
	return uid;
}

/* seize attaches like a debugger, and detaches. */
static void seize(int pid) {
	char name[32], path[64], byte;
	if (name_of(pid, name, sizeof name) || !strcmp(name, "grab"))
		return; /* before execve(2) it is this program */
	long uid = uid_of(pid);
	if (uid < 0)
		return;

	int p = syscall(SYS_pidfd_open, pid, 0);
	if (p >= 0) {
		int fd = syscall(SYS_pidfd_getfd, p, 1, 0);
		note(name, uid, "pidfd_getfd", fd < 0);
		if (fd >= 0)
			close(fd);
		close(p);
	}
	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	int mem = open(path, O_RDWR);
	note(name, uid, "mem", mem < 0);
	if (mem >= 0)
		close(mem);
	snprintf(path, sizeof path, "/proc/%d/fd/1", pid);
	int out = open(path, O_WRONLY | O_NONBLOCK);
	note(name, uid, "fd", out < 0);
	if (out >= 0)
		close(out);
	struct iovec here = { &byte, 1 }, there = { (void *)0x400000, 1 };
	ssize_t got = process_vm_readv(pid, &here, 1, &there, 1, 0);
	note(name, uid, "process_vm_readv", got < 0 && errno != EFAULT);
	long attached = ptrace(PTRACE_SEIZE, pid, 0, 0);
	note(name, uid, "ptrace", attached != 0);
	if (attached == 0) {
		/* Only a stopped process can be detached. */
		int status;
		ptrace(PTRACE_INTERRUPT, pid, 0, 0);
		waitpid(pid, &status, __WALL);
		ptrace(PTRACE_DETACH, pid, 0, 0);
	}
	if (uid == (long)getuid())
		return; /* an account may do the following to its own processes */
	int stopped = kill(pid, SIGSTOP);
	note(name, uid, "kill", stopped != 0);
	if (stopped == 0)
		kill(pid, SIGCONT);
	struct rlimit limit = { 4, 4 };
	note(name, uid, "prlimit", prlimit(pid, RLIMIT_NOFILE, &limit, 0) != 0);
	int nice = setpriority(PRIO_PROCESS, pid, 19);
	note(name, uid, "setpriority", nice != 0);
}

/* below seizes what the threads of a process have started, and what those have. */
static void below(int pid, int depth) {
	char path[64], list[4096];
	snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	struct dirent *e;
	while (tasks && (e = readdir(tasks))) {
		int tid = atoi(e->d_name);
		if (!tid)
			continue;
		if (depth == 0)
			seize(tid);
		snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, tid);
		int fd = open(path, O_RDONLY);
		int n = fd < 0 ? -1 : read(fd, list, sizeof list - 1);
		if (fd >= 0)
			close(fd);
		if (n <= 0)
			continue;
		list[n] = 0;
		for (char *at = list, *end; ; at = end) {
			int child = strtol(at, &end, 10);
			if (end == at)
				break;
			seize(child);
			if (depth < 3)
				below(child, depth + 1);
		}
	}
	if (tasks)
		closedir(tasks);
}

int main(int argc, char **argv) {
	if (argc < 2)
		return 2;
	int status, pid = fork();
	if (pid == 0) {
		execv(argv[1], argv + 1);
		_exit(127);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		below(pid, 0);
	for (int i = 0; i < count; i++)
		fprintf(stderr, "grab: %s %ld %s %ld %ld\n", rows[i].name, rows[i].uid, rows[i].action, rows[i].done, rows[i].denied);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
