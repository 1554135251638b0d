/* Makes system calls by their numbers, with arguments that no call can use, and prints
 * the errors that came back.
 *
 *   calls NUMBER…     native ones
 *   calls i386 LAST   all of int $0x80 up to a number
 *   calls x32 LAST    all of the second ABI up to a number
 *   calls tricks      calls that do by an argument what another one does
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define X32_BIT 0x40000000L

static const char *name_of(long result) {
	switch (result < 0 ? errno : 0) {
	case 0: return "made";
	case EPERM: return "EPERM";
	case ENOSYS: return "ENOSYS";
	default: return "tried";
	}
}

static void report(const char *what, long number, long result) {
	printf("%s %ld: %s\n", what, number, name_of(result));
	fflush(stdout);
}

static long child(long result);

static void native(long number) {
	long result = number == SYS_fork || number == SYS_vfork ? child(syscall(number)) : syscall(number, -1, -1, -1, -1, -1, -1);
	report("call", number, result);
}

static void foreign(const char *which, long last, int x32) {
	long number, result;
	for (number = 1; number <= last; number++) {
		if (x32) {
			result = syscall(number | X32_BIT, -1, -1, -1, -1, -1, -1);
		} else {
			__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(-1), "c"(-1), "d"(-1), "S"(-1), "D"(-1) : "r8", "r9", "r10", "r11", "memory");
			if (result < 0) {
				errno = -result;
				result = -1;
			}
		}
		if (result >= 0 || errno != ENOSYS)
			report(which, number, result);
	}
	printf("%s up to %ld\n", which, last);
}

/* child ends one, and passes the rest on. */
static long child(long result) {
	if (result == 0)
		_exit(0);
	return result;
}

static void tricks(void) {
	struct sockaddr_in nowhere = {.sin_family = AF_INET, .sin_port = 9};
	struct msghdr message = {&nowhere, sizeof nowhere, 0, 0, 0, 0, 0};
	struct mmsghdr several = {message, 0};
	int s = socket(AF_INET, SOCK_STREAM, 0);
	nowhere.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	report("sendto with MSG_FASTOPEN", 0, sendto(s, "x", 1, MSG_FASTOPEN | MSG_DONTWAIT, (void *)&nowhere, sizeof nowhere));
	report("sendmsg with MSG_FASTOPEN", 0, sendmsg(s, &message, MSG_FASTOPEN | MSG_DONTWAIT));
	report("sendmmsg with MSG_FASTOPEN", 0, sendmmsg(s, &several, 1, MSG_FASTOPEN | MSG_DONTWAIT));
	report("sendto without", 0, sendto(s, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0));
	report("clone with CLONE_NEWUSER", 0, child(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)));
	report("fork", 0, child(fork()));
	report("prctl with PR_SET_SECCOMP", 0, prctl(PR_SET_SECCOMP, 77, 0, 0, 0));
	report("prctl with PR_GET_DUMPABLE", 0, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
}

int main(int argc, char **argv) {
	int i;
	if (argc == 3 && !strcmp(argv[1], "i386"))
		foreign("i386", atol(argv[2]), 0);
	else if (argc == 3 && !strcmp(argv[1], "x32"))
		foreign("x32", atol(argv[2]), 1);
	else if (argc == 2 && !strcmp(argv[1], "tricks"))
		tricks();
	else
		for (i = 1; i < argc; i++)
			native(atol(argv[i]));
	printf("end\n");
	return 0;
}
