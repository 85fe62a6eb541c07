/* See descriptor.h. */
#include "listen/descriptor.h"

#include <errno.h>
#include <unistd.h>

#include "core/error.h"

int descriptor_error(void)
{
    switch (errno) {
    case EACCES:
    case EPERM:
    case EROFS:
        return WERR_PERMISSION;
    case EADDRINUSE:
        return WERR_EXISTS;
    default:
        return WERR_IO;
    }
}

void descriptor_close(int *fd)
{
    if (*fd >= 0) {
        int saved_errno = errno;
        (void)close(*fd);
        errno = saved_errno;
    }
    *fd = -1;
}
