// SPDX-License-Identifier: MIT OR Apache-2.0
/* seek FILE|PID HEX...: looks for byte strings in a file, or in all memory that a process can read. Prints how many of
 * them it found; 0 if all, 1 if none, 2 if some. A string is also looked for back to front, as big integers are kept. */
#define _GNU_SOURCE
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 16

static unsigned char needles[2 * MOST][64];
static size_t lengths[2 * MOST];
static int found[2 * MOST], count;

static void look(const unsigned char *bytes, size_t len)
{
	for (int i = 0; i < 2 * count; i++)
		if (memmem(bytes, len, needles[i], lengths[i]))
			found[i] = 1;
}

static void look_at(int fd, off_t at, size_t len)
{
	unsigned char *bytes = malloc(len);
	ssize_t n = bytes ? pread(fd, bytes, len, at) : -1;

	if (n > 0)
		look(bytes, n);
	free(bytes);
}

static void look_into(const char *pid)
{
	char path[64], line[512];
	unsigned long from, to, mappings = 0;

	snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	int fd = open(path, O_RDONLY);
	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	FILE *maps = fopen(path, "r");

	if (fd < 0 || !maps) {
		perror(path);
		exit(3);
	}
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx r", &from, &to) == 2 && !strstr(line, "[v")) {
			look_at(fd, from, to - from);
			mappings++;
		}
	printf("%lu mappings, ", mappings);
}

int main(int argc, char **argv)
{
	int any = 0;

	if (argc < 3 || argc > 2 + MOST)
		return 3;
	for (count = 0; count < argc - 2; count++) {
		const char *hex = argv[2 + count];
		size_t len = strlen(hex) / 2;

		if (len < 16 || len > sizeof(needles[0]))
			return 3;
		for (size_t i = 0; i < len; i++) {
			unsigned byte;

			if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
				return 3;
			needles[2 * count][i] = needles[2 * count + 1][len - 1 - i] = byte;
		}
		lengths[2 * count] = lengths[2 * count + 1] = len;
	}
	if (isdigit(argv[1][0])) {
		look_into(argv[1]);
	} else {
		int fd = open(argv[1], O_RDONLY);
		off_t len = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

		if (len <= 0) {
			perror(argv[1]);
			return 3;
		}
		printf("%lld bytes, ", (long long)len);
		look_at(fd, 0, len);
	}
	for (int i = 0; i < count; i++)
		any += found[2 * i] || found[2 * i + 1];
	printf("%d of %d found\n", any, count);
	return any == count ? 0 : any ? 2 : 1;
}
