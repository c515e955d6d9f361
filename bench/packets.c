//go:build ignore

/*
 * packets: the least a client can spend on a fleet that answers datagrams. One
 * thread, one socket, sendmmsg and recvmmsg in batches, so many targets under
 * way at once.
 *
 *   packets -p PORT [-n 100000] [-c 1000] [-q]
 *
 * The targets are those of floor.c. The payload is a line of text, or with -q a
 * DNS question. Prints one JSON line. A target is ok if an answer came from its
 * address; what is lost is not sent again.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, SIZE = 1500, QUIET_MS = 1000 };

static struct mmsghdr out[BATCH], in[BATCH];
static struct iovec outgoing, incoming[BATCH];
static struct sockaddr_in to[BATCH], from[BATCH];
static char answers[BATCH][SIZE];
static uint8_t *seen;
static long total = 100000, started, ok;
static int port, fd;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static uint32_t target(long i)
{
	return 127u << 24 | (1 + i / 50000) << 16 | (i / 250 % 200) << 8 | (1 + i % 250);
}

/* number is the inverse of target; -1 for no target of ours. */
static long number(uint32_t a)
{
	long b = (a >> 16 & 255) - 1, c = a >> 8 & 255, d = (long)(a & 255) - 1;
	long i = b * 50000 + c * 250 + d;
	return a >> 24 == 127 && i >= 0 && i < total && target(i) == a ? i : -1;
}

static void send_some(long room)
{
	int n = 0;
	for (; n < BATCH && n < room && started < total; n++)
		to[n] = (struct sockaddr_in){
			.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(target(started++))};
	int sent = n ? sendmmsg(fd, out, n, 0) : 0;
	started -= n - (sent > 0 ? sent : 0);
}

static int receive_some(void)
{
	int n = recvmmsg(fd, in, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		long k = number(ntohl(from[i].sin_addr.s_addr));
		if (k >= 0 && !seen[k]) {
			seen[k] = 1;
			ok++;
		}
		in[i].msg_hdr.msg_namelen = sizeof from[i];
	}
	return n;
}

int main(int argc, char **argv)
{
	static char line[] = "ping\n";
	static char question[] = "\0\7\1\0\0\1\0\0\0\0\0\0\4node\7example\0\0\1\0\1";
	long window = 1000;
	outgoing = (struct iovec){line, sizeof line - 1};
	for (int opt; (opt = getopt(argc, argv, "p:n:c:q")) != -1;) {
		switch (opt) {
		case 'p': port = atoi(optarg); break;
		case 'n': total = atol(optarg); break;
		case 'c': window = atol(optarg); break;
		case 'q': outgoing = (struct iovec){question, sizeof question - 1}; break;
		default: return 2;
		}
	}
	int size = 32 << 20;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	seen = calloc(total, 1);
	for (int i = 0; i < BATCH; i++) {
		incoming[i] = (struct iovec){answers[i], SIZE};
		out[i].msg_hdr = (struct msghdr){.msg_name = &to[i], .msg_namelen = sizeof to[i], .msg_iov = &outgoing, .msg_iovlen = 1};
		in[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &incoming[i], .msg_iovlen = 1};
	}
	double t0 = now();
	while (ok < total) {
		send_some(window - (started - ok));
		if (receive_some() > 0)
			continue;
		if (started < total && started - ok < window)
			continue;
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, QUIET_MS) == 0)
			break;
	}
	double wall = now() - t0;
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	double user = ru.ru_utime.tv_sec + ru.ru_utime.tv_usec / 1e6;
	double sys = ru.ru_stime.tv_sec + ru.ru_stime.tv_usec / 1e6;
	printf("{\"ok\":%ld,\"failed\":%ld,\"wall\":%.3f,\"user\":%.3f,\"sys\":%.3f,\"cpu_us_each\":%.2f,\"rss_kb\":%ld}\n",
		ok, total - ok, wall, user, sys, (user + sys) * 1e6 / total, ru.ru_maxrss);
	return ok == total ? 0 : 1;
}
