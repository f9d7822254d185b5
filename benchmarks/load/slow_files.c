// SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// A file system that shows a directory unchanged, but delays each open of a file or a directory, like a network file
// system: slow-files DIRECTORY MOUNTPOINT OPEN_MS OPENDIR_MS THREADS. Attributes and names are cached as NFS does by
// default. Prints "mounted", and unmounts on SIGTERM.
#define _GNU_SOURCE
#define FUSE_USE_VERSION 312
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

// acregmin and acdirmin of nfs(5), in seconds.
enum { ATTRIBUTES = 3, NAMES = 30 };

static int root;
static struct timespec open_delay, opendir_delay;

static const char *below(const char *path)
{
    return path[1] ? path + 1 : ".";
}

static int outcome(int result)
{
    return result < 0 ? -errno : 0;
}

// Files created by root belong to the caller.
static int owned(const char *path, int result)
{
    struct fuse_context *caller = fuse_get_context();
    if (result < 0)
        return -errno;
    return outcome(fchownat(root, below(path), caller->uid, caller->gid, AT_SYMLINK_NOFOLLOW));
}

static void *started(struct fuse_conn_info *connection, struct fuse_config *config)
{
    config->use_ino = 1;
    config->nullpath_ok = 1;
    config->attr_timeout = ATTRIBUTES;
    config->entry_timeout = NAMES;
    config->negative_timeout = 0;
    connection->max_background = 256;
    connection->congestion_threshold = 256;
    puts("mounted");
    fflush(stdout);
    return NULL;
}

static int slow_getattr(const char *path, struct stat *about, struct fuse_file_info *file)
{
    return outcome(file ? fstat((int)file->fh, about) : fstatat(root, below(path), about, AT_SYMLINK_NOFOLLOW));
}

static int slow_open(const char *path, struct fuse_file_info *file)
{
    nanosleep(&open_delay, NULL);
    int descriptor = openat(root, below(path), file->flags & ~O_NOFOLLOW);
    if (descriptor < 0)
        return -errno;
    file->fh = (uint64_t)descriptor;
    return 0;
}

static int slow_create(const char *path, mode_t mode, struct fuse_file_info *file)
{
    nanosleep(&open_delay, NULL);
    int descriptor = openat(root, below(path), file->flags | O_CREAT, mode);
    if (descriptor < 0)
        return -errno;
    file->fh = (uint64_t)descriptor;
    struct fuse_context *caller = fuse_get_context();
    return outcome(fchown(descriptor, caller->uid, caller->gid));
}

static int slow_read(const char *path, char *into, size_t size, off_t offset, struct fuse_file_info *file)
{
    (void)path;
    ssize_t got = pread((int)file->fh, into, size, offset);
    return got < 0 ? -errno : (int)got;
}

static int slow_write(const char *path, const char *from, size_t size, off_t offset, struct fuse_file_info *file)
{
    (void)path;
    ssize_t written = pwrite((int)file->fh, from, size, offset);
    return written < 0 ? -errno : (int)written;
}

static int slow_release(const char *path, struct fuse_file_info *file)
{
    (void)path;
    return outcome(close((int)file->fh));
}

static int slow_fsync(const char *path, int data_only, struct fuse_file_info *file)
{
    (void)path;
    return outcome(data_only ? fdatasync((int)file->fh) : fsync((int)file->fh));
}

static int slow_opendir(const char *path, struct fuse_file_info *file)
{
    nanosleep(&opendir_delay, NULL);
    int descriptor = openat(root, below(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = descriptor < 0 ? NULL : fdopendir(descriptor);
    if (!directory)
        return -errno;
    file->fh = (uint64_t)(uintptr_t)directory;
    return 0;
}

// All entries at once, with their attributes if the kernel asks for them (like NFS's READDIRPLUS).
static int slow_readdir(const char *path, void *into, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *file,
                        enum fuse_readdir_flags flags)
{
    (void)path, (void)offset;
    DIR *directory = (DIR *)(uintptr_t)file->fh;
    rewinddir(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct stat about = {.st_ino = entry->d_ino, .st_mode = DTTOIF(entry->d_type)};
        bool dots = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        bool whole = flags & FUSE_READDIR_PLUS && !dots &&
                     fstatat(dirfd(directory), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0;
        if (fill(into, entry->d_name, &about, 0, whole ? FUSE_FILL_DIR_PLUS : 0))
            return -ENOMEM;
    }
    return 0;
}

static int slow_releasedir(const char *path, struct fuse_file_info *file)
{
    (void)path;
    return outcome(closedir((DIR *)(uintptr_t)file->fh));
}

static int slow_mkdir(const char *path, mode_t mode)
{
    return owned(path, mkdirat(root, below(path), mode));
}

static int slow_unlink(const char *path)
{
    return outcome(unlinkat(root, below(path), 0));
}

static int slow_rmdir(const char *path)
{
    return outcome(unlinkat(root, below(path), AT_REMOVEDIR));
}

static int slow_rename(const char *from, const char *to, unsigned flags)
{
    return outcome(renameat2(root, below(from), root, below(to), flags));
}

static int slow_link(const char *from, const char *to)
{
    return outcome(linkat(root, below(from), root, below(to), 0));
}

static int slow_symlink(const char *target, const char *path)
{
    return owned(path, symlinkat(target, root, below(path)));
}

static int slow_readlink(const char *path, char *into, size_t room)
{
    ssize_t length = readlinkat(root, below(path), into, room - 1);
    if (length < 0)
        return -errno;
    into[length] = 0;
    return 0;
}

static int slow_chmod(const char *path, mode_t mode, struct fuse_file_info *file)
{
    return outcome(file ? fchmod((int)file->fh, mode) : fchmodat(root, below(path), mode, 0));
}

static int slow_chown(const char *path, uid_t user, gid_t group, struct fuse_file_info *file)
{
    return outcome(file ? fchown((int)file->fh, user, group)
                        : fchownat(root, below(path), user, group, AT_SYMLINK_NOFOLLOW));
}

static int slow_truncate(const char *path, off_t size, struct fuse_file_info *file)
{
    if (file)
        return outcome(ftruncate((int)file->fh, size));
    int descriptor = openat(root, below(path), O_WRONLY | O_CLOEXEC);
    int result = descriptor < 0 ? -errno : outcome(ftruncate(descriptor, size));
    if (descriptor >= 0)
        close(descriptor);
    return result;
}

static int slow_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *file)
{
    return outcome(file ? futimens((int)file->fh, times) : utimensat(root, below(path), times, AT_SYMLINK_NOFOLLOW));
}

static int slow_statfs(const char *path, struct statvfs *about)
{
    (void)path;
    return outcome(fstatvfs(root, about));
}

static const struct fuse_operations OPERATIONS = {
    .init = started,           .getattr = slow_getattr,       .open = slow_open,         .create = slow_create,
    .read = slow_read,         .write = slow_write,           .release = slow_release,   .fsync = slow_fsync,
    .opendir = slow_opendir,   .readdir = slow_readdir,       .mkdir = slow_mkdir,       .unlink = slow_unlink,
    .rmdir = slow_rmdir,       .rename = slow_rename,         .link = slow_link,         .symlink = slow_symlink,
    .readlink = slow_readlink, .chmod = slow_chmod,           .chown = slow_chown,       .truncate = slow_truncate,
    .utimens = slow_utimens,   .releasedir = slow_releasedir, .statfs = slow_statfs,
};

static struct timespec milliseconds(const char *words)
{
    double seconds = atof(words) / 1000;
    return (struct timespec){(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
}

// As many requests at once as there are threads; by default libfuse 3.12 permits ten, and earlier versions have no
// limit.
static int serve(struct fuse *fuse, unsigned threads)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 12)
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_max_threads(config, threads);
    fuse_loop_cfg_set_idle_threads(config, threads);
    int result = fuse_loop_mt(fuse, config);
    fuse_loop_cfg_destroy(config);
    return result;
#else
    struct fuse_loop_config config = {.clone_fd = 0, .max_idle_threads = threads};
    return fuse_loop_mt(fuse, &config);
#endif
}

int main(int count, char **arguments)
{
    if (count != 6)
        errx(2, "slow-files DIRECTORY MOUNTPOINT OPEN_MS OPENDIR_MS THREADS");
    root = open(arguments[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        err(1, "%s", arguments[1]);
    open_delay = milliseconds(arguments[3]);
    opendir_delay = milliseconds(arguments[4]);
    umask(0);
    // Makes a sleep end within a microsecond of its time instead of fifty.
    prctl(PR_SET_TIMERSLACK, 1000);
    // The process that started this one may die first; this one must end then.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    struct fuse_args options = FUSE_ARGS_INIT(0, NULL);
    fuse_opt_add_arg(&options, arguments[0]);
    fuse_opt_add_arg(&options, "-oallow_other,default_permissions,fsname=slow-files");
    struct fuse *fuse = fuse_new(&options, &OPERATIONS, sizeof OPERATIONS, NULL);
    if (!fuse || fuse_mount(fuse, arguments[2]) || fuse_set_signal_handlers(fuse_get_session(fuse)))
        return 1;
    serve(fuse, (unsigned)atoi(arguments[5]));
    fuse_unmount(fuse);
    fuse_destroy(fuse);
    return 0;
}
