// storm starts processes that are hard to find or to end, and prints "ready".
//
//	chain N    each starts the next in a group of its own, ignores signals, waits
//	hidden N   the same, and none can be seen where /proc hides what is not dumpable
//	comets N   N at a time that start their successor and exit, in one group
//	sessions N the same, each in a session of its own
//	siblings N the same, each a child of its parent's parent
//	bomb 1     each starts others without end
//	headless N processes whose first thread has ended, while another one runs
//
// All but the chains limit the processes of their account to 200.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void ready(void)
{
	if (write(1, "ready\n", 6) != 6)
		_exit(1);
}

static void ignore(void)
{
	for (int s = 1; s < 32; s++)
		signal(s, SIG_IGN);
}

// A process that nobody ends must not stay on the test's machine.
static void wait_long(void)
{
	for (int i = 0; i < 300; i++)
		sleep(1);
	_exit(0);
}

static pid_t again(void)
{
	pid_t pid;
	while ((pid = fork()) < 0)
		usleep(1000);
	return pid;
}

static void chain(int n)
{
	while (n-- > 1 && again() == 0)
		setpgid(0, 0);
	if (n <= 0)
		ready();
	wait_long();
}

static void comet(const char *kind, time_t end)
{
	int sessions = !strcmp(kind, "sessions"), siblings = !strcmp(kind, "siblings");
	while (time(NULL) < end) {
		pid_t pid = siblings ? syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) : fork();
		if (pid > 0)
			_exit(0);
		if (pid == 0 && sessions)
			setsid();
		if (pid < 0)
			usleep(1000);
	}
	_exit(0);
}

static void bomb(time_t end)
{
	while (time(NULL) < end)
		if (fork() < 0)
			usleep(1000);
	_exit(0);
}

static void *endless(void *unused)
{
	wait_long();
	return unused;
}

static void headless(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, endless, NULL))
		_exit(1);
	pthread_exit(NULL);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	const char *kind = argv[1];
	int n = atoi(argv[2]);
	time_t end = time(NULL) + 120;
	ignore();
	if (!strcmp(kind, "hidden"))
		prctl(PR_SET_DUMPABLE, 0);
	if (!strcmp(kind, "hidden") || !strcmp(kind, "chain"))
		chain(n);
	struct rlimit limit = {200, 200};
	if (strcmp(kind, "chain") && strcmp(kind, "hidden") && setrlimit(RLIMIT_NPROC, &limit))
		return 3;
	for (int i = 0; i < n; i++) {
		if (again())
			continue;
		if (!strcmp(kind, "headless")) {
			setsid();
			headless();
		}
		if (!strcmp(kind, "bomb"))
			bomb(end);
		comet(kind, end);
	}
	usleep(100000);
	ready();
	wait_long();
}
