/* A case with ties, for the tests: 40 images, 3 classes, scores in sixteenths (exact as floats). Made once with scikit-learn 1.9.1:
 *
 * import numpy as np
 * from sklearn.metrics import classification_report, confusion_matrix, roc_curve, roc_auc_score
 * rng = np.random.default_rng(11)
 * y = rng.integers(0, 3, 40)
 * k = np.array([rng.multinomial(16, np.eye(3)[c] * 0.15 + 0.85 / 3) for c in y])
 * p = (k / 16).astype(np.float32)
 * print(y.tolist()); print(k.ravel().tolist())
 * yh = p.argmax(1)
 * print(confusion_matrix(y, yh).tolist())
 * r = classification_report(y, yh, output_dict=True, zero_division=0)
 * for key in ['0', '1', '2', 'macro avg', 'weighted avg']: print(key, r[key])
 * print('accuracy', r['accuracy'])
 * print('auc', [repr(float(roc_auc_score(y == c, p[:, c]))) for c in range(3)], repr(float(roc_auc_score(y, p, multi_class='ovr'))))
 * for c in range(3):
 *     f, t, th = roc_curve(y == c, p[:, c]); print(len(f), (f * (y != c).sum()).round(9).tolist(), (t * (y == c).sum()).round(9).tolist(), (th*16).tolist())
 * print('loss', repr(float(-np.log(np.clip(p[np.arange(40), y].astype(float), 1e-7, 1 - 1e-7)).mean())))
 * print(classification_report(y, yh, target_names=['glioma', 'meningioma', 'notumor'], zero_division=0))
 */
#ifndef EVALUATE_METRICS_REFERENCE_H
#define EVALUATE_METRICS_REFERENCE_H

enum { REFERENCE_COUNT = 40, REFERENCE_CLASSES = 3 };

static const int reference_labels[REFERENCE_COUNT] = {
	0, 0, 2, 1, 1, 1, 2, 0, 1, 0, 1, 2, 1, 0, 1, 0, 2, 2, 2, 1,
	2, 1, 0, 1, 1, 1, 2, 0, 2, 0, 1, 2, 0, 2, 1, 1, 2, 2, 2, 1,
};

/* [REFERENCE_COUNT][REFERENCE_CLASSES], in sixteenths */
static const int reference_scores[REFERENCE_COUNT * REFERENCE_CLASSES] = {
	11, 2,	3, 7, 4, 5, 4, 5, 7, 3, 6, 7, 7, 7, 2,	4, 8, 4, 2, 8, 6,  7, 3, 6, 5, 8, 3, 9, 2,  5,
	1,  11, 4, 4, 5, 7, 7, 5, 4, 6, 2, 8, 3, 3, 10, 7, 5, 4, 2, 2, 12, 6, 4, 6, 4, 4, 8, 2, 10, 4,
	1,  8,	7, 4, 9, 3, 8, 3, 5, 2, 8, 6, 7, 8, 1,	6, 7, 3, 2, 2, 12, 6, 6, 4, 4, 7, 5, 5, 5,  6,
	3,  4,	9, 7, 3, 6, 7, 4, 5, 6, 1, 9, 2, 9, 5,	3, 6, 7, 6, 4, 6,  5, 5, 6, 6, 6, 4, 3, 7,  6,
};

static inline void reference_probabilities(float *p)
{
	for (int i = 0; i < REFERENCE_COUNT * REFERENCE_CLASSES; i++)
		p[i] = (float)reference_scores[i] / 16;
}

#endif
