"""The bench's own data sets and protocols, registered through the same hook as anyone's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from mfbench.cards import Registrar


@hookimpl
def mfbench_register(registry: Registrar) -> None:
    _register_datasets(registry)
    _register_images(registry)
    _register_drawn_images(registry)
    _register_manifolds(registry)
    _register_protocols(registry)
    _register_level_protocols(registry)
    _register_robustness(registry)


def _register_datasets(registry: Registrar) -> None:
    registry.dataset(
        "swiss_roll",
        "mfbench.datasets.points:SwissRoll",
        summary="spiral in the plane: x and z of the Swiss roll, with its density",
        reference="scikit-learn make_swiss_roll",
    )
    registry.dataset(
        "circles",
        "mfbench.datasets.points:Circles",
        summary="two concentric circles in the plane, with their density",
        reference="scikit-learn make_circles",
    )
    registry.dataset(
        "moons",
        "mfbench.datasets.points:Moons",
        summary="two interleaved half circles in the plane, with their density",
        reference="scikit-learn make_moons",
    )
    registry.dataset(
        "s_curve",
        "mfbench.datasets.points:SCurve",
        summary="S in the plane: x and z of the S curve, with its density",
        reference="scikit-learn make_s_curve",
    )
    registry.dataset(
        "pinwheel",
        "mfbench.datasets.points:Pinwheel",
        summary="bent arms around a centre, with their density",
        reference="Johnson et al. 2016",
    )
    registry.dataset(
        "checkerboard",
        "mfbench.datasets.points:Checkerboard",
        summary="the dark squares of a board, blurred, with their density",
    )
    registry.dataset(
        "gaussian",
        "mfbench.datasets.analytic:Gaussian",
        summary="one Gaussian with density and noise predictor in closed form",
    )
    registry.dataset(
        "gaussian_mixture",
        "mfbench.datasets.analytic:GaussianMixture",
        summary="mixture of Gaussians with density and noise predictor in closed form",
    )


def _register_images(registry: Registrar) -> None:
    for name, target, summary, reference in (
        (
            "digits",
            "digits:Digits",
            "handwritten digits 8x8, bundled with scikit-learn",
            "Alpaydin and Kaynak 1998",
        ),
        ("mnist", "idx:Mnist", "handwritten digits 28x28", "LeCun et al. 1998"),
        ("fashion_mnist", "idx:FashionMnist", "clothes 28x28, grey", "Xiao et al. 2017"),
        ("cifar10", "cifar:Cifar10", "objects 32x32, ten classes", "Krizhevsky 2009"),
        ("cifar100", "cifar:Cifar100", "objects 32x32, a hundred classes", "Krizhevsky 2009"),
        (
            "cifar10_jpeg",
            "cifar:Cifar10Jpeg",
            "2,000 of CIFAR-10's test images after JPEG",
            "Krizhevsky 2009",
        ),
        ("svhn", "svhn:Svhn", "house numbers 32x32, cropped digits", "Netzer et al. 2011"),
        ("orl_faces", "orl:OrlFaces", "faces of 40 people, 112x92, grey", "Samaria and Harter 1994"),
        ("celeba", "celeba:CelebA", "aligned faces with 40 attributes", "Liu et al. 2015"),
        ("image_folder", "folder:ImageFolder", "the images in a folder; its sub-folders are the classes", ""),
    ):
        registry.dataset(name, f"mfbench.datasets.{target}", summary=summary, reference=reference)


def _register_drawn_images(registry: Registrar) -> None:
    registry.dataset(
        "synthetic_faces",
        "mfbench.datasets.faces:SyntheticFaces",
        summary="drawn faces with 14 attributes, a continuous identity and a known scene",
    )
    registry.dataset(
        "dsprites_like",
        "mfbench.datasets.sprites:DSpritesLike",
        summary="square, ellipse and heart with the six factors of dSprites, drawn anew",
        reference="Matthey et al. 2017",
    )
    registry.dataset(
        "two_digits",
        "mfbench.datasets.two_digits:TwoDigits",
        summary="pairs of MNIST's digits side by side, 28x56",
        reference="Tu et al. 2023, Fig. 9 and 10",
    )
    registry.dataset(
        "two_digits_8x8",
        "mfbench.datasets.two_digits:TwoDigits8x8",
        summary="pairs of scikit-learn's bundled digits side by side, 8x16",
    )


def _register_manifolds(registry: Registrar) -> None:
    registry.dataset(
        "embedded_sphere",
        "mfbench.datasets.manifolds:EmbeddedSphere",
        summary="sphere of known dimension in a space of more, with its noise predictor",
    )
    registry.dataset(
        "embedded_gaussian",
        "mfbench.datasets.manifolds:EmbeddedGaussian",
        summary="Gaussian on a linear subspace of known dimension, with its noise predictor",
    )
    registry.dataset(
        "embedded_torus",
        "mfbench.datasets.manifolds:EmbeddedTorus",
        summary="Clifford torus of known dimension in a space of more",
    )
    registry.dataset(
        "embedded_roll",
        "mfbench.datasets.manifolds:EmbeddedRoll",
        summary="Swiss roll of known dimension in a space of more",
    )
    registry.dataset(
        "manifold_union",
        "mfbench.datasets.manifolds:ManifoldUnion",
        summary="spheres of several known dimensions, apart from each other, in a space of more",
    )


def _register_protocols(registry: Registrar) -> None:
    registry.protocol(
        "ood_auroc",
        "mfbench.protocols.ood_auroc:OODAuroc",
        summary="how well a likelihood's score tells the data set from others",
        reference="Tu et al. 2023, Fig. 2 and 5",
    )
    registry.protocol(
        "density_terms",
        "mfbench.protocols.density_terms:DensityTerms",
        summary="which term of a log-density tells the data set from others",
        reference="Tu et al. 2023, Fig. 2",
    )
    registry.protocol(
        "step_consistency",
        "mfbench.protocols.step_consistency:StepConsistency",
        summary="how far a sampler's samples move as its step grows",
        reference="Tu et al. 2023, Fig. 6-8",
    )
    registry.protocol(
        "density_accuracy",
        "mfbench.protocols.density_accuracy:DensityAccuracy",
        summary="how far a likelihood's log-density is from the known one",
        reference="Tu et al. 2023, Eq. 23",
    )
    registry.protocol(
        "sample_quality",
        "mfbench.protocols.sample_quality:SampleQuality",
        summary="how far a generator's samples are from held-out data",
        reference="Naeem et al. 2020; Lopez-Paz and Oquab 2017",
    )
    registry.protocol(
        "intrinsic_dimension",
        "mfbench.protocols.intrinsic_dimension:IntrinsicDimension",
        summary="how far an estimate of the local dimension is from the known one",
        reference="Levina and Bickel 2004; Kamkari et al. 2024",
    )
    _register_semantic_protocols(registry)


def _register_semantic_protocols(registry: Registrar) -> None:
    registry.protocol(
        "disentanglement",
        "mfbench.protocols.disentanglement:Disentanglement",
        summary="whether dimensions of a code, and symbols of its message, stand for attributes",
        reference="Locatello et al. 2019; Tu et al. 2023, Fig. 9 and 10",
    )
    registry.protocol(
        "message_stability",
        "mfbench.protocols.message_stability:MessageStability",
        summary="how much of a message survives small affine maps of the image; reads no labels",
        reference="Ji et al. 2019; Duan et al. 2020",
    )


def _register_level_protocols(registry: Registrar) -> None:
    registry.protocol(
        "reconstruction",
        "mfbench.protocols.reconstruction:Reconstruction",
        summary="how near images are to what goes in, after a method's code, by level",
        reference="Tu et al. 2023, Fig. 3 A",
    )
    registry.protocol(
        "level_quality",
        "mfbench.protocols.level_quality:LevelQuality",
        summary="how far a hierarchical generator's samples are from held-out data, by level",
        reference="Tu et al. 2023, Fig. 3 B",
    )
    registry.protocol(
        "super_resolution",
        "mfbench.protocols.super_resolution:SuperResolution",
        summary="whether the detail added to small images looks real and fits them",
        reference="Tu et al. 2023, Fig. 4",
    )
    registry.protocol(
        "attribute_editing",
        "mfbench.protocols.attribute_editing:AttributeEditing",
        summary="whether setting one dimension of a code changes one attribute of the image alone",
        reference="Tu et al. 2023, Fig. 10 and 12-14",
    )
    registry.protocol(
        "semantic_path",
        "mfbench.protocols.semantic_path:SemanticPath",
        summary="whether the line between two codes is a sequence of meaningful changes, each made once",
        reference="Tu et al. 2023, section 3",
    )
    registry.protocol(
        "attribute_structure",
        "mfbench.protocols.attribute_structure:AttributeStructure",
        summary="which attributes the nearest neighbours of an embedding share",
        reference="Tu et al. 2023, Fig. 15",
    )


def _register_robustness(registry: Registrar) -> None:
    registry.protocol(
        "patch_robustness",
        "mfbench.protocols.patch_robustness:PatchRobustness",
        summary="what is left of a defense under the worst of several attacks inside a patch",
        reference="Tu et al. 2023, section 4; Croce et al. 2022",
    )
    registry.protocol(
        "linf_robustness",
        "mfbench.protocols.linf_robustness:LinfRobustness",
        summary="the same where every pixel may change a little",
        reference="Tu et al. 2023, section 4; Madry et al. 2018",
    )
