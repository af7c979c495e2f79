/* A named array of floats, whatever kind of file it is in. */
#ifndef MODEL_ARRAY_H
#define MODEL_ARRAY_H

#define MODEL_RANK_MAX 4
#define MODEL_ARRAY_NAME_SIZE 160

typedef struct model_array {
	char name[MODEL_ARRAY_NAME_SIZE]; /* "layers/dense/vars/0", "conv1_conv/kernel", "layer1.0.conv1.weight" */
	int rank;
	int shape[MODEL_RANK_MAX]; /* rank of them, each at least 1 */
} model_array;

#endif
