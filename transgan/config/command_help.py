"""What `transgan COMMAND --help` prints, of each command: {generator} stands for the choices of that group."""

COMMANDS = {
    "train": """\
transgan train [IMAGES] [key=value ...]

Trains a generator against a discriminator. Other algorithms: image_gpt predicts images token by token, flow makes them
in a few steps, student and drifting in one without a discriminator, pixel_rnn and vae are baselines. The same command
continues an interrupted run, exactly.

  transgan train                                                 digits on a CPU, a minute or two
  transgan train ~/pictures                                      a folder or zip: all else is chosen, and said why
  transgan train ~/pictures minutes=60 resolution=64 name=cats   what is given is taken; sub-folders are classes
  transgan train experiment=cifar10 trainer=ddp trainer.devices=4
  transgan train experiment=digits_gpt                           digits by an image GPT; digits_flow, digits_vae too
  transgan train -m seed=0,1,2 loss=relativistic,hinge           six runs, one for each combination, and a table

Most used:
  name=NAME             the run is the folder runs/NAME                    kimg=N        length in 1,000 images
  minutes=N hours=N     length by time: a step is measured, kimg follows   dry_run=true  choose, say the cost, and stop
  experiment={experiment}
  recipe={recipe}
  generator={generator}
  discriminator={discriminator}
  loss={loss}
  penalty={penalty}
  augmentation={augmentation}
  adaptive={adaptive}
  consistency={consistency}    supervision={supervision}
  algorithm={algorithm}
  tokens={tokens}    autoencoder={autoencoder}
  data={data}
  data.path=PATH        where the images are                              data.on_error=skip  go on without broken files
  metrics={metrics}
  extractor={extractor}
  trainer={trainer}  callbacks={callbacks}
  logger={logger}
  batch_size=N  seed=N  resolution=N  channels=1|3  conditional=auto|true|false  mirror=true
  algorithm.generator_lr.start=X  algorithm.gamma.start=X  algorithm.augment=X  algorithm.n_critic=N
  precision=bf16-mixed  compile=inductor                                   init_from=RUN  start from its weights
  generator=from_gpt discriminator=from_gpt checkpoint=RUN                 begin with the stack of an image GPT
  callbacks=default|none  callbacks.samples=null  +callbacks.NAME={{_target_: package.Class}}
  config=runs/NAME/config.yaml                  repeat a run from its own configuration
  hydra.run.dir=FOLDER  another way to say where the run is kept           debug=true     show tracebacks
  explain=true          a plain sentence at the end for each number that was measured

Your own parts: conf/ in the current folder is searched, too. conf/generator/mine.yaml with `_target_: mine.Generator`
and mine.py beside conf/ are generator=mine; the same holds for every group, experiment= among them.
  --config-dir DIR (-cd)  another such folder; hydra.searchpath=[file://DIR,pkg://PACKAGE.conf] several
  --config-name NAME (-cn), --config-path DIR (-cp)  another main configuration, conf/NAME.yaml with `defaults: [train]`

What there is:
  --cfg [job|hydra|all]   print the configuration and stop; --resolve: without ${{...}}; --package NAME: a part of it
  --info [all|config|defaults|defaults-tree|plugins|searchpath]  where it comes from          --hydra-help  Hydra's own
  -m, --multirun          one run for each combination of a,b  range(1,4)  choice(a,b)  glob(*)

Leaves in runs/NAME: config.yaml, checkpoints/, samples/, stats.csv, metrics.jsonl, env.json, log.txt.
""",
    "evaluate": """\
transgan evaluate RUN|IMAGES [key=value ...]

Measures the EMA generator of a run or checkpoint, or a folder, zip or npz of images that any program made, and
prints each number with its protocol: in a table, a sentence for a caption, and a row for LaTeX.

  transgan evaluate runs/digits
  transgan evaluate runs/cats metrics=paper extractor=inception extractor.download=true
  transgan evaluate their_samples/ against=runs/cats             as that run is: by its training images and features
  transgan evaluate their_samples/ against=real_images/ extractor=timm:vit_small_patch16_224 extractor.weights=PATH

  metrics={metrics}       default: what the run was trained with; paper: 50,000 images, three times, every metric
  extractor={extractor}
                           the features; timm:NAME for any timm model. extractor.weights=PATH  extractor.download=true
  against=PATH             real images: a folder, a zip, an npz of images or of mu and sigma (num_real=N), or a run for
                           what it was trained on; default: the run's data, of images the data of the only run near
  heldout=PATH             held-out real images; or train with holdout=0.1
  export=PATH.npz          mu and sigma of the real images, for other programs
  checkpoint=best|last  num_samples=N  seed=N  blocks=N  psi=X  temperature=X  ema=true|false  bounds=true|false
  resolution=N  devices=N  device=auto|cpu|cuda  out=PATH  explain=true  a plain sentence for each number

Appends a line to metrics.jsonl of the run and writes evaluations/*.json, or IMAGES.ID.evaluation.json, with everything.
""",
    "sample": """\
transgan sample RUN [key=value ...]

Generates images by the EMA generator. Image number s is the same one whenever it is asked for.

  transgan sample runs/digits                              64 PNG files in runs/digits/generated
  transgan sample runs/digits seeds=0-99 to=grid out=digits.png
  transgan sample runs/cats class=kittens psi=0.7 seeds=7,12,40-59 to=npz
  transgan sample runs/cats seeds=0-9999                   as many as wanted; what is there is not made again
  transgan sample runs/cats seeds=3,8,21 to=mp4

  seeds=7|0-63|1,5,9-12  class=NUMBER|NAME
  psi=X of a GAN, temperature=X of an image GPT, PixelRNN or VAE: below 1, images are more typical and less varied
  top_k=N  complete=IMAGES|heldout  rows=N  (image GPT: the likeliest values alone; keep the upper half of images)
  to=png|grid|npz  out=PATH  columns=N  checkpoint=best|last  device=auto|cpu|cuda
  to=sheet                 a row for each class; sweep=[0.3,0.5,0.7,1] a row for each psi
  to=gif|mp4               a walk through the latents of the seeds, and back: frames=24 from each to the next, fps=24,
                           space=z along arcs, or space=w between styles; mp4: pip install 'transgan[video]'
  like=FILE.png            exactly that image again, by what it says of itself; provenance=false: images say nothing
  latent=latent.npz        the image that transgan project has found, in the place of seeds
""",
    "project": """\
transgan project RUN PHOTO [key=value ...]

Finds the image that a generator makes which is nearest to a photo, and the numbers that it makes it of. It begins where
random images are nearest, optimises several by Adam, and ends with Gauss-Newton steps. The photo is brought to the size
and channels of the run as in training. For generators that make an image at once, as GANs do.

  transgan project runs/digits three.png                   runs/digits/projections/three-30.016kimg
  transgan project runs/cats cat.jpg class=kittens space=z
  transgan sample runs/cats latent=runs/cats/projections/cat-100kimg/latent.npz psi=0.7

  space=w|z             styles, which reach more images (where there are any), or latents as in training
  class=NUMBER|NAME     default: every class is tried
  candidates=N          random images, of which the nearest starts=N are optimised
  steps=N  lr=X         of Adam, in units of the spread of random ones   newton=N  Gauss-Newton steps; 0: none
  seed=N  out=FOLDER  checkpoint=best|last  device=auto|cpu|cuda

Leaves in the folder: before-after.png (photo, nearest random image, projected image), projected.png, latent.npz.
""",
    "export": """\
transgan export RUN to=safetensors|onnx|torch|web|hub [key=value ...]

Writes a trained generator for other programs, and compares what was written with PyTorch, image by image, before it
gets its name: where they differ, nothing is written.

  transgan export runs/cats to=safetensors      weights, and how they are built: transgan.load(FILE), without pickle
  transgan export runs/cats to=onnx             latent, label and psi to images, for any number of them; pip install
                                                'transgan[onnx]'
  transgan export runs/cats to=torch            a program of torch.export, .pt2
  transgan export runs/cats to=web single=true  a page that draws in any browser, without a server or a network
  transgan export runs/cats to=hub license=cc-by-4.0 data_license=cc-by-4.0 push=USER/NAME

  checkpoint=best|last  weights=ema|raw         of the run             out=PATH    default: in RUN/exports/
  output=uint8|float                            of onnx and torch; float is float32 in [-1, 1]
  precision=fp32|fp16  opset=N                  of onnx and web; fp16 halves the file
  single=true  runtime=PATH                     of web: one HTML file; onnxruntime-web as npm pack gives it
  license=X                                     of the weights, written into the file; to=hub needs it
  data_license=X  dataset=USER/NAME|WORDS       of hub: the images it was trained on
  push=USER/NAME  private=true|false            of hub: upload
""",
    "compare": """\
transgan compare RUN RUN ... [key=value ...]
transgan compare suite=NAME [key=value ...]

Measures several runs by one protocol and writes tables, figures, and which claims hold. Runs that differ in seed and
name alone are one system, with mean and spread. A suite trains what is missing first, at equal numbers of images and at
equal seconds of training; the same command goes on where it was stopped, and is quick when the runs are there.

  transgan compare runs/gan runs/gpt runs/vae
  transgan compare suite=digits                            GPT, PixelRNN, VAEs and GANs on digits, about half an hour
  transgan compare suite=digits suite.seconds=5 suite.kimg=3 suite.seeds=[0,1] out=comparisons/short

  suite={suite}
  metrics={metrics}
  extractor={extractor}
  out=PATH  jobs=N  checkpoint=last|best  num_samples=N  seed=N  blocks=N  threads=N  device=auto|cpu|cuda

Leaves in out: comparison.md, comparison.csv (one line a run), figures/, samples/, runs/ and logs/ of a suite.
""",
    "report": """\
transgan report RUN [RUN ...] [key=value ...]

Writes one HTML file about a run, or about several beside each other: the result in plain sentences, cost, distances
with their protocol, curves, grids over time, a row of images for each class, a latent walk, the nearest training
images, the data, the configuration and where runs differ, commands to paste, and a table for LaTeX. All images are in
the file; no network and no script is needed to read it. What cannot be had is named, with the command that gives it. A
run that is still being trained can be looked at, too.

  transgan report runs/digits                              runs/digits/report.html
  transgan report runs/gan runs/gpt runs/vae               runs/report.html
  transgan report runs/digits-sweep out=sweep.html         all runs of a sweep, 24 at most

  out=PATH.html  checkpoint=best|last  device=auto|cpu|cuda
  neighbours=N             generated images whose nearest training images are looked for; 0: the data is not read
""",
    "summary": """\
transgan summary [RUN] [key=value ...]

Counts the parameters and the multiply-accumulates per image of both networks and their parts, in seconds and without
memory for them. Takes every key of `transgan train`.

  transgan summary
  transgan summary experiment=transgan_cifar10
  transgan summary generator=transgan_church256 discriminator=vit_64 resolution=256 channels=3 json=true
  transgan summary runs/cats

  experiment={experiment}
  generator={generator}
  discriminator={discriminator}
  resolution=N  channels=1|3  num_classes=N      json=true  one object: generator.parameters, generator.macs, ...
""",
    "data check": """\
transgan data check IMAGES [key=value ...]

Reads every image of a folder or zip once, those of test and val included, and names what training would refuse, suffer
from or convert: damaged files, exact and near duplicates (also in several classes, and both trained on and held out),
dark, blurred, blank and tiny images, extreme shapes, grey among colours, alpha, palettes, CMYK, depth, EXIF,
animations, HEIC, folders that are no classes, rare classes. Limits of what is dark or blurred follow the set. Exit code
0, whatever was found.

  transgan data check ~/photos
  transgan data check ~/photos.zip resolution=128 holdout=0.1 json=report.json sheet=sheet.png

  resolution=N  channels=1|3    as the networks will see them, 1 to 4,096 pixels (what training would choose)
  holdout=X             share that training would hold out, 0 to 1 (0)      images=N      on the sheet (96)
  data.labels=folders|none  whether sub-folders are classes                 data.white=X  what is white in deep files
  data.limit=N          images to take, as many of every class (all)        workers=N     processes (one a core)
  html=PATH|null        the report as one page (NAME-check.html)            json=PATH     the same for programs
  sheet=PATH            a PNG of images as the networks will see them
""",
    "data prepare": """\
transgan data prepare IMAGES OUT.zip [key=value ...]

Brings every image to one size, once, and packs them lossless into a zip, which `transgan train` reads in place.
The same command goes on after Ctrl-C or a kill, from OUT.zip.partial; OUT.zip is complete or absent. With
crop=center, and channels= where a run is grey, training sees exactly the pixels that it would make of the originals.

  transgan data prepare ~/photos photos64.zip resolution=64
  transgan data prepare ~/photos photos256.zip resolution=256 crop=entropy data.on_error=skip

  resolution=N          pixels of a side, 1 to 4,096 (64)
  crop=center|pad|stretch|entropy     the centre; all of it, white beside it; all of it, distorted; where most is seen
  channels=1|3|null     grey, colour, or as each file is (null)             format=png|webp   both lossless (png)
  data.on_error=raise|skip  refuse unreadable files, or leave them out      workers=N         processes (one a core)
  data.labels=folders|none  whether sub-folders are classes                 data.white=X      of deep files

In the zip: the images by their names, those of test and val included, dataset.json with labels as StyleGAN's tools read
them, and transgan.json with settings, version, class names, counts, and every file left out with its reason. Training
leaves test and val out; StyleGAN's tools would not: for those, prepare the folder to train on alone.
""",
    "import-transgan": """\
transgan import-transgan PATH [key=value ...]

Makes a run of a checkpoint that TransGAN's published code has written: a training checkpoint, or the weights of a
generator alone. Every weight must find its place and every place its weight; nothing is left out.

  transgan import-transgan cifar_checkpoint name=transgan_official
  transgan sample runs/transgan_official to=grid
  transgan evaluate runs/transgan_official metrics=paper

  name=NAME  runs=FOLDER                                        the run is the folder runs/NAME
  architecture=cifar10|stl10|church256|celebahq256              default: the one whose weights have these names
  data.path=PATH           the images it was trained with, to evaluate against         kimg=N  how long, if it is known

To train on from it: transgan train experiment=transgan_cifar10 init_from=runs/NAME name=OTHER
""",
}
