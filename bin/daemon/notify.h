/*
 * SPDX-License-Identifier: ISC
 *
 * What systemd is told of a service that it started, by the socket in $NOTIFY_SOCKET (sd_notify(3)).
 */
#ifndef LLMD_NOTIFY_H
#define LLMD_NOTIFY_H

/* notify - "READY=1" and the like; nothing where nobody asked. */
void notify(const char *state);

#endif
