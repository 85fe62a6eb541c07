/* What opening and closing a descriptor have in common. Any thread. */
#ifndef WEFT_LISTEN_DESCRIPTOR_H
#define WEFT_LISTEN_DESCRIPTOR_H

/* errno as a WERR_ code: PERMISSION, EXISTS (an address in use), else IO. */
int descriptor_error(void);

/* Closes *fd when there is one and makes it -1; errno stays. */
void descriptor_close(int *fd);

#endif
