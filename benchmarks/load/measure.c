// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Runs a command and reports its cost: measure REPORT SECONDS COMMAND... writes {"status", "seconds", "cpu_seconds",
// "peak_rss_kib"} to REPORT. Times and memory are those of the command and all descendants that were waited for; the
// memory is that of the largest process. This parent is small, because Linux counts a parent's size into the child's
// peak. After SECONDS everything is killed.
#define _GNU_SOURCE
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t child;

static void end(int signal)
{
    (void)signal;
    kill(-child, SIGKILL);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int count, char **arguments)
{
    if (count < 4)
        errx(2, "measure REPORT SECONDS COMMAND...");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    double began = now();
    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        execvp(arguments[3], arguments + 3);
        err(127, "%s", arguments[3]);
    }
    setpgid(child, child);
    signal(SIGALRM, end);
    signal(SIGTERM, end);
    signal(SIGINT, end);
    alarm((unsigned)atoi(arguments[2]));
    int status;
    struct rusage usage;
    while (wait4(child, &status, 0, &usage) < 0) {
    }
    double took = now() - began;
    int outcome = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    FILE *report = fopen(arguments[1], "w");
    if (!report)
        err(1, "%s", arguments[1]);
    fprintf(report, "{\"status\": %d, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"peak_rss_kib\": %ld}\n", outcome, took,
            seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss);
    return fclose(report) ? 1 : 0;
}
