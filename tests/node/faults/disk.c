/*
 * A disk that can lose its power, lie, fail or be full, for one process, by LD_PRELOAD.
 *
 * Files under FAULTS_FOLDER are what the process sees. What it has synced is copied to FAULTS_PLATTER: that
 * alone is there after a loss of power. The first byte of the file FAULTS_MODE says how the disk is:
 *   h  honest: a sync copies the file
 *   l  lying: a sync does nothing and succeeds
 *   f  failing: a sync does nothing and fails with EIO
 *   n  no room: what makes a file longer fails with ENOSPC
 *
 * SQLite's shared memory (-shm) is no file that is synced, and is left alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The name of a file under FAULTS_FOLDER, or NULL for others. */
static const char *name_of(const char *path) {
    const char *folder = getenv("FAULTS_FOLDER");
    size_t length = folder ? strlen(folder) : 0;
    if (length == 0 || strncmp(path, folder, length) != 0 || path[length] != '/') return NULL;
    const char *name = path + length + 1;
    size_t end = strlen(name);
    return end > 4 && strcmp(name + end - 4, "-shm") == 0 ? NULL : name;
}

static const char *name_of_descriptor(int descriptor, char path[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return NULL;
    path[length] = 0;
    return name_of(path);
}

static char mode(void) {
    char mode = 'h';
    int descriptor = open(getenv("FAULTS_MODE"), O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0) {
        if (read(descriptor, &mode, 1) != 1) mode = 'h';
        close(descriptor);
    }
    return mode;
}

/* What was synced of the file is all that is in it now. */
static int keep(const char *path, const char *name) {
    char kept[PATH_MAX], buffer[65536];
    snprintf(kept, sizeof kept, "%s/%s", getenv("FAULTS_PLATTER"), name);
    int from = open(path, O_RDONLY | O_CLOEXEC), to = open(kept, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    off_t done = 0;
    ssize_t got = -1;
    if (from >= 0 && to >= 0) {
        while ((got = pread(from, buffer, sizeof buffer, done)) > 0) {
            if (NEXT(pwrite64)(to, buffer, got, done) != got) { got = -1; break; }
            done += got;
        }
        if (got == 0) got = NEXT(ftruncate64)(to, done);
    }
    if (from >= 0) close(from);
    if (to >= 0) close(to);
    if (got < 0) errno = EIO;
    return got < 0 ? -1 : 0;
}

static int sync_file(int descriptor, int (*next)(int)) {
    char path[PATH_MAX];
    const char *name = name_of_descriptor(descriptor, path);
    if (!name) return next(descriptor);
    switch (mode()) {
    case 'l': return 0;
    case 'f': errno = EIO; return -1;
    default: return keep(path, name);
    }
}

/* Whether the file may grow to so many bytes. */
static int has_room(int descriptor, off64_t bytes) {
    char path[PATH_MAX];
    struct stat64 file;
    if (!name_of_descriptor(descriptor, path) || mode() != 'n') return 1;
    if (fstat64(descriptor, &file) != 0 || bytes <= file.st_size) return 1;
    errno = ENOSPC;
    return 0;
}

int fsync(int descriptor) { return sync_file(descriptor, NEXT(fsync)); }

int fdatasync(int descriptor) { return sync_file(descriptor, NEXT(fdatasync)); }

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) {
    return has_room(descriptor, offset + (off64_t)count) ? NEXT(pwrite64)(descriptor, bytes, count, offset) : -1;
}

ssize_t write(int descriptor, const void *bytes, size_t count) {
    off64_t offset = lseek64(descriptor, 0, SEEK_CUR);
    if (offset >= 0 && !has_room(descriptor, offset + (off64_t)count)) return -1;
    return NEXT(write)(descriptor, bytes, count);
}

int ftruncate64(int descriptor, off64_t bytes) {
    return has_room(descriptor, bytes) ? NEXT(ftruncate64)(descriptor, bytes) : -1;
}

int unlink(const char *path) {
    const char *name = name_of(path);
    if (name) {
        char kept[PATH_MAX];
        snprintf(kept, sizeof kept, "%s/%s", getenv("FAULTS_PLATTER"), name);
        NEXT(unlink)(kept);
    }
    return NEXT(unlink)(path);
}
