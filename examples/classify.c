/* Classifies one image: classify MODEL IMAGE, where MODEL is a run folder or a model file that brainmri wrote, or "" for the model
 * that ships within the library.
 *   cc classify.c $(pkg-config --cflags --libs brainmri) -o classify
 * Exit code: 0 classified, 1 failed, 2 wrong usage, 3 no answer: the model is not sure, or the image is unlike those it was trained on. */
#include <brainmri/brainmri.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	bm_model *model;
	bm_error err;
	bm_result result = {.size = sizeof result};
	if (argc != 3) {
		fprintf(stderr, "usage: classify MODEL IMAGE\n");
		return 2;
	}
	if (bm_model_open(argv[1][0] ? argv[1] : NULL, 0, &model, &err) != BM_OK) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	/* The threshold that was chosen when the model was evaluated; one that was not evaluated always answers. */
	if (bm_model_set_abstain(model, -1, &err) != BM_OK)
		fprintf(stderr, "%s\n", err.message);

	int classes = bm_model_class_count(model), code = 1;
	float *probabilities = calloc((size_t)classes, sizeof *probabilities);
	if (probabilities && bm_model_judge_file(model, argv[2], &result, probabilities, &err) == BM_OK) {
		for (int i = 0; i < classes; i++)
			printf("%-16s %.4f\n", bm_model_class_name(model, i), (double)probabilities[i]);
		code = result.verdict == BM_ANSWERED ? 0 : 3;
		if (code != 0)
			fprintf(stderr, "%s\n", result.advice);
	} else {
		fprintf(stderr, "%s\n", probabilities ? err.message : "out of memory");
	}
	free(probabilities);
	bm_model_close(model);
	return code;
}
