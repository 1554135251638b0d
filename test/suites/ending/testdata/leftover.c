/* leftover, with a setuid bit, stays as a process that no request ends.
 *
 *   leftover effective JOB   root by its effective id alone, as most such programs are
 *   leftover all JOB         root by all ids, as after setuid(2) in su(1) or sudo(8)
 *
 * It prints "ready" when it is that. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 3 || geteuid() != 0)
		return 2;
	for (int s = 1; s < 32; s++)
		signal(s, SIG_IGN);
	if (fork() > 0)
		return 0;
	setsid();
	if (!strcmp(argv[1], "all") && setresuid(0, 0, 0))
		return 3;
	if (write(1, "ready\n", 6) != 6)
		return 4;
	close(1);
	for (int i = 0; i < 120; i++) /* bounded, in case the test does not end it */
		sleep(1);
	return 0;
}
