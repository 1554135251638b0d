/* A program with a setuid bit that drops root before it does what its user requests,
 * and then tries to be root again. It is run in a login and in a job. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *result(int result) { return result == 0 ? "done" : strerror(errno); }

int main(int argc, char **argv) {
	int file;
	printf("began as root: %d\n", geteuid() == 0);
	if (argc > 1 && strcmp(argv[1], "groups") == 0)
		printf("setgid: %s\n", result(setgid(getgid())));
	printf("setuid: %s\n", result(setuid(getuid())));
	printf("seteuid back: %s\n", result(seteuid(0)));
	printf("setresuid back: %s\n", result(setresuid(0, 0, 0)));
	printf("setegid back: %s\n", result(setegid(0)));
	file = open("/etc/owned-by-a-job", O_CREAT | O_WRONLY, 0644);
	printf("a file in /etc: %s\n", file < 0 ? strerror(errno) : "made");
	if (file >= 0)
		unlink("/etc/owned-by-a-job");
	return 0;
}
