/* A directory that a test fills and that goes away again. One thread. */
#ifndef WEFT_TESTS_CONFIG_TEMPORARY_H
#define WEFT_TESTS_CONFIG_TEMPORARY_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct temporary {
    char path[64];
};

static inline void temporary_init(struct temporary *temporary)
{
    (void)snprintf(temporary->path, sizeof temporary->path, "/tmp/weft-config-XXXXXX");
    assert_non_null(mkdtemp(temporary->path));
}

static inline int temporary_remove(const char *path, const struct stat *info, int kind, struct FTW *ftw)
{
    (void)info;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline void temporary_deinit(struct temporary *temporary)
{
    assert_int_equal(nftw(temporary->path, temporary_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Writes `text` to DIRECTORY/NAME, making the directories on the way; the path goes to `ret_path` (512 bytes)
 * if not NULL. */
static inline void temporary_write(
    const struct temporary *temporary, const char *name, const char *text, char *ret_path)
{
    char path[512];

    int length = snprintf(path, sizeof path, "%s/%s", temporary->path, name);
    assert_true(length > 0 && (size_t)length < sizeof path);
    for (char *slash = strchr(path + strlen(temporary->path) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    if (ret_path != NULL) {
        memcpy(ret_path, path, (size_t)length + 1);
    }
}

#endif
