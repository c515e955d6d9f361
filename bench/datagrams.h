//go:build ignore

/*
 * What server.c answers datagrams with on the UDP side of its port. A DNS
 * question gets one A record with the address that was asked; anything else
 * comes back behind that address in text.
 */
enum { DATAGRAMS = 64, DATAGRAM = 1500 };

static struct mmsghdr in[DATAGRAMS];
static struct iovec parts[DATAGRAMS];
static struct sockaddr_in peers[DATAGRAMS];
static char payloads[DATAGRAMS][DATAGRAM + 64];
static union {
	char room[CMSG_SPACE(sizeof(struct in_pktinfo))];
	struct cmsghdr align;
} controls[DATAGRAMS];

/* open_datagrams returns a socket on the given port that tells where datagrams were sent to. */
static int open_datagrams(int port)
{
	int one = 1, size = 32 << 20, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	return bind(fd, (struct sockaddr *)&sa, sizeof sa) ? -1 : fd;
}

/* asked is the address that datagram i was sent to, from which its answer is sent. */
static struct in_addr asked(int i)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(&in[i].msg_hdr);
	struct in_pktinfo info = {0};
	if (c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		memcpy(&info, CMSG_DATA(c), sizeof info);
		info.ipi_spec_dst = info.ipi_addr;
		info.ipi_ifindex = 0;
		memcpy(CMSG_DATA(c), &info, sizeof info);
	}
	return info.ipi_addr;
}

/* answer_question makes the question of n bytes at p an answer, and returns its length. */
static size_t answer_question(unsigned char *p, size_t n, struct in_addr a)
{
	static const unsigned char record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4};
	size_t end = 12;
	while (end < n && p[end])
		end += p[end] + 1;
	end += 5;
	if (end > n)
		return 0;
	p[2] |= 0x84;
	p[3] = 0x80;
	memset(p + 6, 0, 6);
	p[7] = 1;
	memcpy(p + end, record, sizeof record);
	memcpy(p + end + sizeof record, &a, 4);
	return end + sizeof record + 4;
}

static size_t answer_text(char *p, size_t n, struct in_addr a)
{
	char name[17];
	uint32_t h = ntohl(a.s_addr);
	int len = snprintf(name, sizeof name, "%u.%u.%u.%u ", h >> 24, h >> 16 & 255, h >> 8 & 255, h & 255);
	memmove(p + len, p, n);
	memcpy(p, name, len);
	return n + len;
}

/* answer_datagrams answers what has come and returns how many there were. */
static unsigned long answer_datagrams(int fd)
{
	unsigned long total = 0;
	for (;;) {
		for (int i = 0; i < DATAGRAMS; i++) {
			parts[i] = (struct iovec){payloads[i], DATAGRAM};
			in[i].msg_hdr = (struct msghdr){
				.msg_name = &peers[i], .msg_namelen = sizeof peers[i], .msg_iov = &parts[i], .msg_iovlen = 1,
				.msg_control = &controls[i], .msg_controllen = sizeof controls[i],
			};
		}
		int n = recvmmsg(fd, in, DATAGRAMS, MSG_DONTWAIT, NULL);
		if (n <= 0)
			return total;
		for (int i = 0; i < n; i++) {
			struct in_addr a = asked(i);
			unsigned char *p = (unsigned char *)payloads[i];
			size_t len = in[i].msg_len;
			int question = len >= 17 && !(p[2] & 0x80) && p[4] == 0 && p[5] == 1;
			parts[i].iov_len = question ? answer_question(p, len, a) : answer_text(payloads[i], len, a);
		}
		for (int sent = 0; sent < n;) {
			int k = sendmmsg(fd, in + sent, n - sent, 0);
			sent += k > 0 ? k : 1; /* one that cannot be sent is lost */
		}
		total += n;
		if (n < DATAGRAMS)
			return total;
	}
}
