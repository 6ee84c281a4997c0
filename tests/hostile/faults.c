/* Loaded with LD_PRELOAD: counts the calls that change what is below one folder, and makes one of them go wrong.
 *
 * faults_arm() is called in a forked child. Call number `at` (from 1) fails with `fault` as errno, or, for fault 0,
 * kills the process. A write then first does half of its work, as a disk that fills up does. A full disk stays full:
 * after ENOSPC everything that needs space fails. Every call is written to `log`: its class, name and path.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAKES = 'm', WRITES = 'w', SYNCS = 's', NAMES = 'n' };  /* a new file; bytes; to the disk; other names */

static char under[PATH_MAX];
static int log_fd = -1, fault, armed;
static long at;
static atomic_long calls;
static atomic_int full;

void faults_arm(const char *folder, long number, int error, int log) {
    snprintf(under, sizeof under, "%s/", folder);
    at = number, fault = error, log_fd = log;
    atomic_store(&calls, 0), atomic_store(&full, 0);
    armed = 1;
}

static int is_below(const char *path) { return !strncmp(path, under, strlen(under)); }

static const char *of_fd(int fd, char *place) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, place, PATH_MAX - 1);
    place[n < 0 ? 0 : n] = 0;
    return place;
}

static const char *of_name(int folder, const char *name, char *place) {
    if (name[0] == '/') {
        snprintf(place, PATH_MAX, "%s", name);
        return place;
    }
    if (folder == AT_FDCWD) {
        if (!getcwd(place, PATH_MAX)) place[0] = 0;
    } else of_fd(folder, place);
    size_t n = strlen(place);
    snprintf(place + n, PATH_MAX - n, "/%s", name);
    return place;
}

/* 0: do the call. 1: do half of it if it is a write, then fail with errno set, or be killed by finish(). */
static int hit(int kind, const char *call, const char *path) {
    if (!armed || !is_below(path)) return 0;
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (log_fd >= 0) dprintf(log_fd, "%c\t%s\t%s\n", kind, call, path + strlen(under));
    if (number == at) {
        if (fault == ENOSPC) atomic_store(&full, 1);
        return 1;
    }
    return atomic_load(&full) && (kind == MAKES || kind == WRITES);
}

static int finish(void) {
    if (!fault) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = fault;
    return -1;
}

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); real; })
#define BY_NAME(kind, name, folder, path, args) \
    { char p[PATH_MAX]; return hit(kind, #name, of_name(folder, path, p)) ? finish() : REAL(name) args; }
#define BY_FD(kind, name, fd, args) \
    { char p[PATH_MAX]; return hit(kind, #name, of_fd(fd, p)) ? finish() : REAL(name) args; }

#define OPEN(name, folder, params, args)                                                       \
    int name params {                                                                          \
        va_list list;                                                                          \
        va_start(list, flags);                                                                 \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;                \
        va_end(list);                                                                          \
        char p[PATH_MAX];                                                                      \
        int changes = flags & (O_CREAT | O_TRUNC);                                             \
        return changes && hit(MAKES, #name, of_name(folder, path, p)) ? finish() : REAL(name) args; \
    }
OPEN(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, folder, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))
OPEN(openat64, folder, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))

#define FOPEN(name)                                                                                   \
    FILE *name(const char *path, const char *mode) {                                                  \
        char p[PATH_MAX];                                                                             \
        if (strpbrk(mode, "wa+") && hit(MAKES, #name, of_name(AT_FDCWD, path, p))) {                  \
            finish();                                                                                 \
            return NULL;                                                                              \
        }                                                                                             \
        return REAL(name)(path, mode);                                                                \
    }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int fd, const void *data, size_t n) {
    char p[PATH_MAX];
    if (!armed || !hit(WRITES, "write", of_fd(fd, p))) return REAL(write)(fd, data, n);
    ssize_t done = n > 1 && fault != EIO && !(atomic_load(&full) && atomic_load(&calls) != at)
                       ? REAL(write)(fd, data, n / 2) : 0;
    if (!fault || done <= 0) return finish();
    return done;
}
#define PWRITE(name)                                                                                  \
    ssize_t name(int fd, const void *data, size_t n, off_t offset) BY_FD(WRITES, name, fd, (fd, data, n, offset))
PWRITE(pwrite)
PWRITE(pwrite64)
ssize_t writev(int fd, const struct iovec *parts, int n) BY_FD(WRITES, writev, fd, (fd, parts, n))
size_t fwrite(const void *data, size_t size, size_t n, FILE *file) {
    char p[PATH_MAX];
    if (!armed || !hit(WRITES, "fwrite", of_fd(fileno(file), p))) return REAL(fwrite)(data, size, n, file);
    size_t done = fault == EIO || atomic_load(&calls) != at ? 0 : REAL(fwrite)(data, size, n / 2, file);
    fflush(file);
    finish();
    return done;
}
ssize_t copy_file_range(int a, off64_t *x, int b, off64_t *y, size_t n, unsigned f)
    BY_FD(WRITES, copy_file_range, b, (a, x, b, y, n, f))
ssize_t sendfile(int to, int from, off_t *offset, size_t n);
ssize_t sendfile(int to, int from, off_t *offset, size_t n) BY_FD(WRITES, sendfile, to, (to, from, offset, n))
ssize_t sendfile64(int to, int from, off64_t *offset, size_t n);
ssize_t sendfile64(int to, int from, off64_t *offset, size_t n) BY_FD(WRITES, sendfile64, to, (to, from, offset, n))
int posix_fallocate(int fd, off_t a, off_t n) BY_FD(WRITES, posix_fallocate, fd, (fd, a, n))
int ftruncate(int fd, off_t n) BY_FD(WRITES, ftruncate, fd, (fd, n))
int ftruncate64(int fd, off64_t n) BY_FD(WRITES, ftruncate64, fd, (fd, n))

int fsync(int fd) BY_FD(SYNCS, fsync, fd, (fd))
int fdatasync(int fd) BY_FD(SYNCS, fdatasync, fd, (fd))

int rename(const char *a, const char *b) BY_NAME(NAMES, rename, AT_FDCWD, b, (a, b))
int renameat(int x, const char *a, int y, const char *b) BY_NAME(NAMES, renameat, y, b, (x, a, y, b))
int link(const char *a, const char *b) BY_NAME(NAMES, link, AT_FDCWD, b, (a, b))
int linkat(int x, const char *a, int y, const char *b, int f) BY_NAME(NAMES, linkat, y, b, (x, a, y, b, f))
int symlink(const char *a, const char *b) BY_NAME(NAMES, symlink, AT_FDCWD, b, (a, b))
int unlink(const char *a) BY_NAME(NAMES, unlink, AT_FDCWD, a, (a))
int unlinkat(int x, const char *a, int f) BY_NAME(NAMES, unlinkat, x, a, (x, a, f))
int rmdir(const char *a) BY_NAME(NAMES, rmdir, AT_FDCWD, a, (a))
int mkdir(const char *a, mode_t m) BY_NAME(MAKES, mkdir, AT_FDCWD, a, (a, m))
int mkdirat(int x, const char *a, mode_t m) BY_NAME(MAKES, mkdirat, x, a, (x, a, m))
