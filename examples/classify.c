/* Classifies one image: classify MODEL IMAGE, where MODEL is a run folder or a .keras file that brainmri wrote.
 *   cc classify.c $(pkg-config --cflags --libs brainmri) -o classify */
#include <brainmri/brainmri.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	bm_model *model;
	bm_error err;
	if (argc != 3) {
		fprintf(stderr, "usage: classify MODEL IMAGE\n");
		return 2;
	}
	if (bm_model_open(argv[1], 0, &model, &err) != BM_OK) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	int classes = bm_model_class_count(model), failed = 1;
	float *probabilities = calloc((size_t)classes, sizeof *probabilities);
	if (probabilities && bm_model_classify_file(model, argv[2], probabilities, &err) == BM_OK) {
		for (int i = 0; i < classes; i++)
			printf("%-16s %.4f\n", bm_model_class_name(model, i), (double)probabilities[i]);
		failed = 0;
	} else {
		fprintf(stderr, "%s\n", probabilities ? err.message : "out of memory");
	}
	free(probabilities);
	bm_model_close(model);
	return failed;
}
