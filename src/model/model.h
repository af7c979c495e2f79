/* The model: ResNet-50 (He et al. 2016) with the guide's head, its weights and its classes. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "base/text.h"
#include "nn/graph.h"
#include "nn/network.h"

#define MODEL_CLASSES_MAX 64

typedef enum model_head {
	MODEL_HEAD_GUIDE,    /* GAP, Dense 256 ReLU, BN, Dropout .5, Dense 128 ReLU, Dropout .3, Dense softmax */
	MODEL_HEAD_DENSE512, /* GAP, Dense 512 ReLU, Dropout .5, Dense softmax */
	MODEL_HEAD_LINEAR,   /* GAP, Dense softmax */
} model_head;

typedef enum model_variant {
	MODEL_V1, /* as in Keras applications: stride in the first 1x1 convolution of a block, convolutions with bias, batch norm
		     * epsilon 1.001e-5, momentum 0.99 */
	MODEL_V1_5, /* as in torchvision: stride in the 3x3 convolution, no biases, epsilon 1e-5, momentum 0.9 */
	MODEL_COMPACT, /* ResNet-18's shape at half its width, average-pooled shortcuts, no biases (compact.c): 2.8 million parameters */
} model_variant;

/* What the first layer does to pixels in [0,1], for weights that were made with another input: y = x * scale[c] + offset[c]. */
typedef struct model_input {
	bool rescaled; /* false: nothing, and there is no such layer */
	float scale[3], offset[3];
} model_input;

typedef struct model_options {
	double width; /* of every convolution; 1 is the network that the variant is named after. Filters are rounded to a multiple of 8 */
	int image_size; /* height = width of the input that the model was built for; other sizes >= 32 may be run */
	int channels;	/* 3, or 1 */
	model_head head;
	int classes;
	model_variant variant;
	model_input input;
	int depth; /* layers with weights on the longest way (He et al. 2016): 14, 26 or 50 of a ResNet with bottleneck blocks, 18 of the
		    * compact network; 0: what the variant is named after */
} model_options;

typedef struct model {
	model_options options;
	nn_graph graph; /* base layers first, "conv1_pad" ... "conv5_block3_out", then the head */
	nn_weights weights;
	int base_layers; /* graph.layers[0 .. base_layers) are the base, the input layer among them (175 for MODEL_V1 without
			  * rescaling) */
	char *class_names[MODEL_CLASSES_MAX]; /* owned; options.classes of them */
	char *trust; /* JSON text of how far it may be believed (evaluate/trust.h), kept in its file; owned; NULL: not evaluated */
} model;

/* What may learn. */
typedef enum model_part { MODEL_HEAD_ONLY, MODEL_LAST_LAYERS /* of the base, and the head */, MODEL_ALL } model_part;

/* Builds the graph and initialises every weight. `from_scratch`: He-normal kernels and the last gamma of each residual block 0
 * (Goyal et al. 2017); otherwise Keras' defaults. class_names are copied. On success free with model_free. */
bm_status model_create(const model_options *options, const char *const *class_names, bool from_scratch, uint64_t seed,
		       model *out, bm_error *err);
void model_free(model *m); /* safe on a zeroed model */

/* Sets the layers' trainable flags; `last` counts base layers from the end as Keras lists them (MODEL_LAST_LAYERS). */
void model_set_trainable(model *m, model_part part, int last);

/* Keras' summary table, line by line as Keras prints it 108 columns wide. */
void model_summary(const model *m, base_text *text);

/* ---- files ---- */

/* A Keras 3 `.keras` file: config.json, metadata.json, model.weights.h5 in a zip, written whole or not at all. class names, the image size and
 * what the pixels mean travel in metadata that Keras ignores. */
bm_status model_save(const model *m, const char *path, bm_error *err);
/* Puts m->trust into the `.keras` file at `path` that m was loaded from; weights and whatever else it holds stay as they are. */
bm_status model_save_trust(const model *m, const char *path, bm_error *err);
/* A safetensors file: arrays with Keras' names and layouts ("conv1_conv/kernel", [h][w][in][out]), and in the header's metadata, under
 * "brainmri", what model_load needs, m->trust with it. `half`: kernels in half precision, for half the size (model/safetensors.h). */
bm_status model_save_safetensors(const model *m, bool half, const char *path, bm_error *err);
/* Adam (weight_decay 0) or AdamW as it stands after a training. */
typedef struct model_optimizer {
	float learning_rate, beta1, beta2, epsilon, weight_decay;
	float clip_norm; /* of all gradients together; 0: none */
	int64_t steps;	 /* done */
	const float *m,
		*v; /* the moments of all trainable arrays, one behind the other in the order of the weights, in Keras' layout */
} model_optimizer;
/* model_save with the optimizer in the file: Keras loads it compiled, and its fit() goes on from there. */
bm_status model_save_compiled(const model *m, const model_optimizer *optimizer, const char *path, bm_error *err);

typedef enum model_pixels { MODEL_PIXELS_UINT8, MODEL_PIXELS_FLOAT32 } model_pixels;
/* An ONNX file (opset 17): input "pixels" [batch][image_size][image_size][channels], 0 to 255; output "probabilities" [batch][classes]; the class
 * names, a JSON array, in the metadata under "classes". */
bm_status model_save_onnx(const model *m, model_pixels pixels, const char *path, bm_error *err);
/* Reads a file of model_save or model_save_safetensors, or a `.keras` file of the same architecture that Keras wrote (its classes are then called
 * "class 0", ...). *out is created (model_free). */
bm_status model_load(const char *path, model *out, bm_error *err);
/* The same from the bytes of a safetensors file, which need not outlive the call. `name` is for messages. */
bm_status model_load_bytes(const uint8_t *bytes, size_t size, const char *name, model *out, bm_error *err);
/* Takes the weights of a file whose base has the same shapes: `.keras`, `.weights.h5`, the `.h5` layout of Keras 2 (read as the ImageNet weights
 * are: BGR, means subtracted), or `.safetensors` of this program, torchvision or timm. Those of a narrower or shallower network
 * are grown (model/grow.h): m then computes what that network does. The network must have been built with the variant
 * and input that model_peek tells. The head is taken too when it fits, else left as it is and *head_taken is false. Every missing, extra or
 * misshaped array is named in the error. On failure nothing has changed. */
bm_status model_load_weights(model *m, const char *path, bool *head_taken, bm_error *err);
/* What such a file says about the network (for --weights FILE, to build the same): its variant, depth, input and width always; 0 where it
 * does not say (image_size and classes, when it holds weights only). */
bm_status model_peek(const char *path, model_options *options, bm_error *err);

int model_variant_depth(
	model_variant variant); /* of the network that it is named after: 50, or 18 of the compact one */
/* options->depth, or that of the variant. */
int model_depth(const model_options *options);
/* Blocks of each of the four stages; false: there is no such network. */
bool model_depth_blocks(model_variant variant, int depth, int blocks[4]);
bool model_same_input(const model_input *a, const model_input *b);
/* For people; static storage. */
const char *model_variant_text(model_variant variant); /* "ResNet-50 v1.5 (stride in the 3x3 convolutions)" */
const char *
model_input_text(const model_input *input); /* "pixels from 0 to 1 minus ImageNet means, divided by its deviations" */

#endif
