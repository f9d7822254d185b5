// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// The limit of a file system: files DIRECTORY THREADS opens, reads and unlinks every file below the directory, with as
// many threads, and prints one JSON object. Directories stay.
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct directory {
    struct directory *next;
    char path[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct directory *waiting;
static long files, at_work;

static double clock_of(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void add(const char *parent, const char *name)
{
    size_t room = strlen(parent) + strlen(name) + 2;
    struct directory *directory = malloc(sizeof *directory + room);
    snprintf(directory->path, room, "%s%s%s", parent, *parent ? "/" : "", name);
    pthread_mutex_lock(&lock);
    directory->next = waiting;
    waiting = directory;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void move(int parent, const char *name)
{
    static _Thread_local char content[1 << 17];
    int descriptor = openat(parent, name, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        err(1, "%s", name);
    while (read(descriptor, content, sizeof content) > 0) {
    }
    close(descriptor);
    if (unlinkat(parent, name, 0))
        err(1, "%s", name);
}

static long visit(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory)
        err(1, "%s", path);
    long found = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_type == DT_REG) {
            move(dirfd(directory), entry->d_name);
            found++;
        } else if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            add(path, entry->d_name);
        }
    }
    closedir(directory);
    return found;
}

static void *work(void *nothing)
{
    (void)nothing;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!waiting && at_work)
            pthread_cond_wait(&changed, &lock);
        if (!waiting)
            break;
        struct directory *directory = waiting;
        waiting = directory->next;
        at_work++;
        pthread_mutex_unlock(&lock);
        long found = visit(directory->path);
        free(directory);
        pthread_mutex_lock(&lock);
        files += found;
        at_work--;
    }
    // This thread found nothing left, so no thread will.
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return NULL;
}

int main(int count, char **arguments)
{
    if (count != 3)
        errx(2, "files DIRECTORY THREADS");
    long threads = atol(arguments[2]);
    pthread_t *started = calloc((size_t)threads, sizeof *started);
    double began = clock_of(CLOCK_MONOTONIC);
    add("", arguments[1]);
    for (long i = 0; i < threads; i++)
        if (pthread_create(started + i, NULL, work, NULL))
            errx(1, "no more threads");
    for (long i = 0; i < threads; i++)
        pthread_join(started[i], NULL);
    printf("{\"files\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", files, clock_of(CLOCK_MONOTONIC) - began,
           clock_of(CLOCK_PROCESS_CPUTIME_ID));
}
