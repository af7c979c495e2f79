/* Runs while the library is built: embed NAME FILE prints the file as a C string, `static const char NAME[]`. */
#include <stdio.h>

int main(int argc, char **argv)
{
	FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
	if (!file) {
		fprintf(stderr, argc == 3 ? "embed: cannot read the file\n" : "usage: embed NAME FILE\n");
		return argc == 3 ? 1 : 2;
	}
	printf("static const char %s[] = {", argv[1]);
	int byte;
	for (long i = 0; (byte = getc(file)) != EOF; i++)
		printf("%s%d,", i % 24 == 0 ? "\n" : "", byte < 128 ? byte : byte - 256);
	printf("0};\n");
	int failed = ferror(file) || fflush(stdout) != 0;
	fclose(file);
	return failed;
}
