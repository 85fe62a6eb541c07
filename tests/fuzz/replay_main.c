/*
 * Feeds files, or all files of directories, to a fuzz target: what libFuzzer does with -runs=0, for compilers
 * without it. Each file is copied into a block of exactly its size, so that a sanitizer sees a read past the
 * end.
 */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

enum { REPLAY_FILE_BYTES_MAX = 1 << 24, REPLAY_PATH_BYTES_MAX = 4096 };

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat status;

    if (file == NULL || fstat(fileno(file), &status) != 0 || status.st_size > REPLAY_FILE_BYTES_MAX) {
        (void)fprintf(stderr, "cannot read %s\n", path);
        if (file != NULL) {
            (void)fclose(file);
        }
        return 1;
    }
    size_t size = (size_t)status.st_size;
    uint8_t *data = malloc(size > 0 ? size : 1);
    int failed = data == NULL || fread(data, 1, size, file) != size;
    (void)fclose(file);
    if (!failed) {
        (void)LLVMFuzzerTestOneInput(data, size);
    }
    free(data);
    return failed;
}

/* Adds the files read to *count. */
static int replay(const char *path, unsigned *count)
{
    char inner[REPLAY_PATH_BYTES_MAX];
    DIR *directory = opendir(path);
    int failed = 0;

    if (directory == NULL) {
        (*count)++;
        return replay_file(path);
    }
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        int length = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        failed |= length < 0 || (size_t)length >= sizeof inner || replay_file(inner) != 0;
        (*count)++;
    }
    (void)closedir(directory);
    return failed;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        failed |= replay(argv[i], &count);
    }
    (void)printf("%u inputs\n", count);
    return failed != 0 || count == 0 ? 1 : 0;
}
